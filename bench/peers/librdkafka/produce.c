/* Records out: as fast as they go, with a window of outstanding ones, or one at a time. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static int64_t settled, failures;

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
        (void)rk, (void)opaque;
        settled++;
        if (message->err && failures++ == 0)
                fprintf(stderr, "a record failed: %s\n", rd_kafka_err2str(message->err));
}

static rd_kafka_t *producer(const struct job *job, const char *linger) {
        char error[256];
        rd_kafka_conf_t *conf = common_conf(job);
        set(conf, "acks", job->acks);
        /* Idempotence costs librdkafka next to nothing; with acks 0 it is not possible. */
        set(conf, "enable.idempotence", strcmp(job->acks, "0") ? "true" : "false");
        set(conf, "compression.codec", job->codec);
        set(conf, "linger.ms", linger);
        /* Batches as large as the broker takes them (1 MB); at 100 bytes this is also the default of 10,000 messages. */
        set(conf, "batch.num.messages", "10000");
        set(conf, "batch.size", "1000000");
        /* The default; with 500,000 and 2,000,000 it took 5 % more CPU and more memory, and was no faster. */
        set(conf, "queue.buffering.max.messages", "100000");
        set(conf, "queue.buffering.max.kbytes", "1048576");
        rd_kafka_conf_set_dr_msg_cb(conf, delivered);
        rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
        if (!rk)
                fail("%s", error);
        return rk;
}

/* Without RD_KAFKA_MSG_F_COPY: the data outlive the records, so librdkafka need not copy them; that is its cheapest way. */
static void send_one(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct job *job, int64_t i) {
        char key[9];
        if (job->keyed)
                key_of(i, key);
        while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, 0, (void *)record_of(job, i), job->bytes,
                                job->keyed ? key : NULL, job->keyed ? 8 : 0, NULL) == -1) {
                if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                        fail("%s", rd_kafka_err2str(rd_kafka_last_error()));
                rd_kafka_poll(rk, 10);
        }
}

static void send_many(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct job *job, int64_t from, int64_t to) {
        for (int64_t i = from; i < to; i++) {
                send_one(rk, topic, job, i);
                if (job->window > 0)
                        while (i + 1 - settled >= job->window)
                                rd_kafka_poll(rk, 100);
                else if (i % 1000 == 999)
                        rd_kafka_poll(rk, 0);
        }
        while (settled < to)
                rd_kafka_poll(rk, 100);
}

void produce(const struct job *job) {
        /* 5 ms is the default; with a window of outstanding records, waiting would only cost. */
        rd_kafka_t *rk = producer(job, job->window > 0 ? "0" : "5");
        rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, job->topic, NULL);
        send_many(rk, topic, job, 0, job->warmup);
        struct watch watch = watch_begin();
        send_many(rk, topic, job, job->warmup, job->warmup + job->records);
        watch_end(watch, job->records, settled - failures, NULL);
        rd_kafka_topic_destroy(topic);
        rd_kafka_destroy(rk);
}

void sequential(const struct job *job) {
        rd_kafka_t *rk = producer(job, "0");
        rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, job->topic, NULL);
        struct latencies latencies = {0};
        struct watch watch = {0};
        for (int64_t i = 0; i < job->warmup + job->records; i++) {
                if (i == job->warmup)
                        watch = watch_begin();
                int64_t begun = now_nanos();
                send_one(rk, topic, job, i);
                while (settled <= i)
                        rd_kafka_poll(rk, 100);
                if (i >= job->warmup)
                        latencies_add(&latencies, (now_nanos() - begun) / 1e3);
        }
        watch_end(watch, job->records, settled - failures, &latencies);
        rd_kafka_topic_destroy(topic);
        rd_kafka_destroy(rk);
}
