"""The demo: moves a data set through the whole system, step by step, and checks each step."""
