"""Makes corpora from data in other forms: `reference`, `stackexchange` and `tables`.

Each reads its form into a `Draft`, in which every row of the input is either kept or rejected with
its file, line and reason. `select` leaves out what cannot be trained on, `write_corpus` writes the
rest. Training and serving need nothing from here.
"""
