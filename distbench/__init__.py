"""distbench: is this smaller model good enough to replace that bigger one, and what does it buy?"""

__version__ = "0.1.0"
