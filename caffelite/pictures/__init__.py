"""What is drawn: nets as graphs, the course of a training as curves, tables for notebooks."""
