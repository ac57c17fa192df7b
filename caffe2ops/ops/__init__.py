"""The operators: one folder a family, imported by walking."""
