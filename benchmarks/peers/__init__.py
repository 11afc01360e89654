"""The other servers, each in one small file, all with the same ranker and the same answers."""
