/*
 * librdkafka from C, as its own documentation would have it done, at its best honest settings (each named where it is set).
 * Build and run: see bench/lib/librdkafka.mjs. One process is one round; the result is one line of JSON on stdout.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void fail(const char *format, ...) {
        va_list args;
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
        exit(1);
}

int64_t now_nanos(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000000LL + t.tv_nsec;
}

double now_seconds(void) {
        return now_nanos() / 1e9;
}

static double cpu_seconds(void) {
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct watch watch_begin(void) {
        return (struct watch) {.wall = now_seconds(), .cpu = cpu_seconds()};
}

void watch_arrived(struct watch *watch) {
        watch->wall = now_seconds();
}

void latencies_add(struct latencies *latencies, double micros) {
        if (latencies->used == latencies->room) {
                latencies->room = latencies->room ? latencies->room * 2 : 1 << 16;
                latencies->micros = realloc(latencies->micros, latencies->room * sizeof(float));
        }
        latencies->micros[latencies->used++] = (float)micros;
}

static int ascending(const void *a, const void *b) {
        float x = *(const float *)a, y = *(const float *)b;
        return (x > y) - (x < y);
}

static long status_of(const char *field) {
        FILE *file = fopen("/proc/self/status", "r");
        char line[256];
        long value = -1;
        size_t length = strlen(field);
        while (file && fgets(line, sizeof(line), file))
                if (!strncmp(line, field, length) && line[length] == ':')
                        value = atol(line + length + 1);
        if (file)
                fclose(file);
        return value;
}

void watch_end(struct watch watch, int64_t records, int64_t written, struct latencies *l) {
        double wall = now_seconds() - watch.wall, cpu = cpu_seconds() - watch.cpu;
        printf("{\"version\":\"%s\",\"records\":%lld,\"written\":%lld,\"seconds\":%.6f,\"cpuSeconds\":%.6f,"
               "\"peakRssKb\":%ld,\"threads\":%ld",
               rd_kafka_version_str(), (long long)records, (long long)written, wall, cpu, status_of("VmHWM"),
               status_of("Threads"));
        if (l && l->used > 0) {
                qsort(l->micros, l->used, sizeof(float), ascending);
                printf(",\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f", l->micros[l->used / 2],
                       l->micros[(int64_t)(l->used * 0.99)], l->micros[(int64_t)(l->used * 0.999)]);
        }
        printf("}\n");
        fflush(stdout);
}

const char *record_of(const struct job *job, int64_t i) {
        return job->file + (i % job->count) * job->bytes;
}

void key_of(int64_t i, char key[9]) {
        int64_t n = i * 7919 % 10000 + 10000000;
        for (int at = 7; at >= 0; at--, n /= 10)
                key[at] = (char)('0' + n % 10);
        key[8] = 0;
}

void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
        char error[256];
        if (rd_kafka_conf_set(conf, name, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
                fail("%s", error);
}

rd_kafka_conf_t *common_conf(const struct job *job) {
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        set(conf, "bootstrap.servers", job->brokers);
        set(conf, "client.id", "librdkafka");
        return conf;
}

static void map_data(struct job *job) {
        struct stat stat;
        int fd = open(job->data, O_RDONLY);
        if (fd < 0 || fstat(fd, &stat) < 0)
                fail("cannot read %s", job->data);
        job->count = stat.st_size / job->bytes;
        job->file = malloc(stat.st_size);
        if (read(fd, job->file, stat.st_size) != stat.st_size)
                fail("cannot read all of %s", job->data);
        close(fd);
}

int main(int argc, char **argv) {
        struct job job = {.codec = "none", .acks = "all", .bytes = 100, .partitions = 6, .clients = 1};
        struct { const char *name; const char **text; int64_t *number; int *small; } flags[] = {
            {"--brokers", &job.brokers, NULL, NULL},     {"--topic", &job.topic, NULL, NULL},
            {"--mode", &job.mode, NULL, NULL},           {"--codec", &job.codec, NULL, NULL},
            {"--acks", &job.acks, NULL, NULL},           {"--data", &job.data, NULL, NULL},
            {"--records", NULL, &job.records, NULL},     {"--warmup", NULL, &job.warmup, NULL},
            {"--window", NULL, &job.window, NULL},       {"--rate", NULL, &job.rate, NULL},
            {"--seconds", NULL, &job.seconds, NULL},     {"--bytes", NULL, NULL, &job.bytes},
            {"--partitions", NULL, NULL, &job.partitions}, {"--keyed", NULL, NULL, &job.keyed},
            {"--clients", NULL, NULL, &job.clients},
        };
        for (int i = 1; i + 1 < argc; i += 2) {
                for (size_t f = 0; f < sizeof(flags) / sizeof(*flags); f++) {
                        if (strcmp(argv[i], flags[f].name))
                                continue;
                        if (flags[f].text)
                                *flags[f].text = argv[i + 1];
                        else if (flags[f].number)
                                *flags[f].number = atoll(argv[i + 1]);
                        else
                                *flags[f].small = atoi(argv[i + 1]);
                }
        }
        if (!job.brokers || !job.topic || !job.mode || !job.data)
                fail("--brokers, --topic, --mode and --data are needed");
        map_data(&job);
        if (!strcmp(job.mode, "produce") || !strcmp(job.mode, "enqueue") || !strcmp(job.mode, "single"))
                produce(&job);
        else if (!strcmp(job.mode, "sequential"))
                sequential(&job);
        else if (!strcmp(job.mode, "consume"))
                consume(&job, 0);
        else if (!strcmp(job.mode, "consume-batches"))
                consume(&job, 1);
        else if (!strcmp(job.mode, "end-to-end"))
                end_to_end(&job);
        else if (!strcmp(job.mode, "fan"))
                fan(&job);
        else
                fail("no mode %s", job.mode);
        return 0;
}
