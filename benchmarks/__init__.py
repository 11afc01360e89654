"""Measures this application beside other servers, all on the same machine in one run."""
