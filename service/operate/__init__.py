"""What keeps a running service healthy and honest: probes, examination, erasure, export, the demo."""
