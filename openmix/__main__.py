"""``python -m openmix`` is ``openmix``."""
import sys

if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):
        sys.path.append(sys.path.pop(0))  # the current folder last: a random.py in it hides no other module
    from openmix.cli import script

    script()
