"""Servers and push processes that stand in for cloud services."""
