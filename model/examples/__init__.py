"""Examples on real data: each module has a `train()` that returns what `model.train` packs."""
