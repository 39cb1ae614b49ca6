"""PLANT=name: something is broken on purpose, so that one sees that the checker finds it."""


def begin(name, episode):
    if name:
        PLANTS[name][0](episode)


def end(name, episode):
    if name:
        PLANTS[name][1](episode)


def nothing(episode):
    pass


def history_chunk_removed(episode):
    """The history of one reader loses a chunk."""
    reading = max((r for r in episode.history.readings if r.stream in episode.plain), key=lambda r: len(r.segments[-1].chunks))
    chunks = reading.segments[-1].chunks
    del chunks[len(chunks) // 2]


def cursor_too_far(episode):
    """One reader's cursor goes one chunk too far, once."""
    episode.cursor_too_far = 1


PLANTS = {"history": (nothing, history_chunk_removed), "cursor": (cursor_too_far, nothing)}
