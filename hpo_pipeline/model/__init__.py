"""Networks for data of any shape. Their constructors raise a ConfigError that names the keys which are wrong."""
