"""Who may call which route by a JSON web token: a function of its own in front of the API, with its own small zip."""
