"""Upkeep: what finds, mends and brings to mind again whatever events and writers left undone."""
