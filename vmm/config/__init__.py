"""What every layer may use: the version, and how numbers and sizes are written by people."""
