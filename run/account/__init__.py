"""What people do at the pages beside reading: sign in, subscribe, collect, have manifests and copies made."""
