"""The system on one machine: emulators of the clouds, their supervisor, and the demo."""
