PATH=/opt/scoring/venv/bin:$PATH
