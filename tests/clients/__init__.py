"""Programs that use clients which others wrote, each in an environment and a process of its own.

The clients' generated protocol modules have the names of ours and of each other's, and their
requirements contradict the project's.
"""
