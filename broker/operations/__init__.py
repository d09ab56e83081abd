"""What the engine is made of: each module is one thing that a broker does."""
