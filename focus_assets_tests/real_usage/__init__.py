"""Usage that nobody made up, turned into CloudEvents and a configuration, and its sums computed apart.

What belongs here: reading public logs of real usage, and oracles over them that use no code of the package.
What does not: the logs themselves. They are looked for in ``../shared/data`` beside the project, or in the
folder that ``FOCUS_ASSETS_REAL_USAGE`` names; tests skip where they are absent.
"""
