/* What the modes of the librdkafka benchmark share: the job, the clock, the result. */
#ifndef DOHLE_BENCH_H
#define DOHLE_BENCH_H

#include <stdint.h>
#include <stdio.h>

#include "rdkafka.h"

/* What the runner asks for, by flags that are the same for all clients. */
struct job {
        const char *brokers, *topic, *mode, *codec, *acks, *data;
        int64_t records, warmup, window, rate, seconds;
        int bytes, partitions, keyed, clients;
        /* The data file: record i is `count` records long, `bytes` bytes each. */
        char *file;
        int64_t count;
};

/* The measured window: wall and CPU time of the process since `begin`. */
struct watch {
        double wall, cpu;
};

/* Times of single records in microseconds, for percentiles. */
struct latencies {
        float *micros;
        int64_t used, room;
};

double now_seconds(void);
int64_t now_nanos(void);
struct watch watch_begin(void);
/* Starts the wall clock again, not that of the CPU: the first record of a consumer has come. */
void watch_arrived(struct watch *watch);
/* Prints the result as one line of JSON. `written`: records in the topic from this process, 0 for readers. */
void watch_end(struct watch watch, int64_t records, int64_t written, struct latencies *latencies);
void latencies_add(struct latencies *latencies, double micros);
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

const char *record_of(const struct job *job, int64_t i);
/* The key of record i, 8 bytes; 10,000 different ones. */
void key_of(int64_t i, char key[9]);
void set(rd_kafka_conf_t *conf, const char *name, const char *value);
rd_kafka_conf_t *common_conf(const struct job *job);

void produce(const struct job *job);
void sequential(const struct job *job);
void consume(const struct job *job, int batches);
void end_to_end(const struct job *job);
void fan(const struct job *job);

#endif
