"""A fitted estimator written down as an ONNX graph in double precision, so that it answers as scikit-learn does.

The public converters work in single precision: a value rounded to 32 bits can cross the split that its 64 bits do not,
and a tie between two classes is broken by the rounding of a sum. Here every step keeps scikit-learn's own precision and
order: float64 throughout, float32 exactly where its trees cast to it. What is not here goes to skl2onnx; both are
believed only after the replay of `model.parity`. Build time only.
"""
