"""Objects of rows, scored as a stream: the same steps in one function, and in many beside each other.

    version = current(objects, job)                    # which bytes; None when the event's version is gone
    done = committed(objects, folder(job.output, version))   # the answer to an event delivered twice
    made = plan(objects, job, version, manifest, part_bytes)  # JSON: ranges of bytes, or of Parquet row groups
    part = score_part(objects, made, made.ranges[i], scorer, attempt)     # any number of these, anywhere, again
    outcome = commit(objects, made, parts, attempt, columns(made, scorer), timings(…))  # one manifest, in order

`run` is these five in one call with one range, which is what a function does with an object that fits.
A state machine's three steps are `plan`, `score_part` in its children, and `commit`; `Plan`, `Range` and `Part` pass
between them as JSON (`msgspec.json.encode`, `decode(type=…)`). `attempt` is any name of the run, the same in all
children: a child that is tried again overwrites its own part with the same bytes.

The functions are in the modules of their names (`plan`, `part`, `commit`, `run`); this one imports none of them, so
that settings may check prefixes without numpy.

Output: <job.output>/<input version>/_manifest.json names <attempt>/part-NNNNN.<suffix> and the error file; what it does
not name is no output. A part of CSV has its own header.
"""
