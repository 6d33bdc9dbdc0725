"""The commands of ``focus-assets``, one module each; ``cli`` imports the one that is called.

What belongs here: options and what is printed. What does not: what a command does, beyond a few lines.
"""
