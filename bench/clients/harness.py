"""What the programs in Python share: the job (the same flags for all languages), the clock, the result as one line of JSON."""

import json
import resource
import sys
import time


class Job:
    """What the runner asks for. `values` are the records, one after the other, again and again."""

    def __init__(self, arguments):
        given = {name.removeprefix("--"): value for name, value in zip(arguments[::2], arguments[1::2])}

        def number(name, default=0):
            return int(given.get(name, default))

        self.brokers, self.topic, self.mode = given["brokers"], given["topic"], given["mode"]
        self.codec, self.acks = given.get("codec", "none"), given.get("acks", "all")
        self.records, self.warmup, self.window = number("records"), number("warmup"), number("window", 1000)
        self.partitions, size = number("partitions", 6), number("bytes", 100)
        with open(given["data"], "rb") as data:
            file = data.read()
        self.values = [file[at : at + size] for at in range(0, len(file), size)]
        if given.get("strings") == "1":
            self.values = [value.decode("latin-1") for value in self.values]
        self.keys = [str((i * 7919) % 10_000 + 10**7).encode() for i in range(10_000)] if given.get("keyed") == "1" else [None]

    def run(self, count):
        """(key, value) of so many records."""
        keys, values = self.keys, self.values
        for at in range(count):
            yield keys[at % len(keys)], values[at % len(values)]


class Watch:
    """The measured window: wall and CPU time (user and system) of this process from here to `end`."""

    def __init__(self):
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def arrived(self):
        """The first record of a consumer has come: the wall clock starts again."""
        self.wall = time.perf_counter()

    def end(self, records, written=0, latencies=()):
        """The result. `written`: records in the topic by this process; `latencies`: of single records, in microseconds."""
        seconds, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        with open("/proc/self/status") as status:
            threads = next(int(line.split()[1]) for line in status if line.startswith("Threads:"))
        result = {"records": records, "written": written, "seconds": seconds, "cpuSeconds": cpu, "threads": threads}
        result["peakRssKb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ordered = sorted(latencies)
        for name, part in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)) if ordered else ():
            result[name] = round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1)
        return result


def main(version, modes):
    """Reads the job, runs its mode, prints the result as the last line."""
    job = Job(sys.argv[2:])
    result = modes[job.mode](job)
    print(json.dumps({"version": version, **result}), flush=True)
