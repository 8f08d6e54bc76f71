/* Producers and consumers in one process: the way of a record from send to handler, and a hundred of each. */
#include "bench.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile int64_t received;
static int64_t first_counted;
static struct latencies latencies;

/* linger.ms 0: the lowest latency; at 10,000 records/s batches need not be large. */
static rd_kafka_t *open_producer(const struct job *job) {
        char error[256];
        rd_kafka_conf_t *conf = common_conf(job);
        set(conf, "enable.idempotence", "true");
        set(conf, "compression.codec", job->codec);
        set(conf, "linger.ms", "0");
        rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
        if (!rk)
                fail("%s", error);
        return rk;
}

/* Reads the partitions from..to-1. fetch.queue.backoff.ms is not reached here; fetch.wait.max.ms is the broker's. */
static rd_kafka_t *open_consumer(const struct job *job, int from, int to) {
        char error[256];
        rd_kafka_conf_t *conf = common_conf(job);
        set(conf, "group.id", "bench");
        set(conf, "enable.auto.commit", "false");
        rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof(error));
        if (!rk)
                fail("%s", error);
        rd_kafka_poll_set_consumer(rk);
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(to - from);
        for (int p = from; p < to; p++)
                rd_kafka_topic_partition_list_add(list, job->topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
        if (rd_kafka_assign(rk, list))
                fail("assign failed");
        rd_kafka_topic_partition_list_destroy(list);
        return rk;
}

struct reader {
        rd_kafka_t *rk;
        int64_t until;
};

static void *handle(void *argument) {
        struct reader *reader = argument;
        for (int64_t got = 0; got < reader->until;) {
                rd_kafka_message_t *message = rd_kafka_consumer_poll(reader->rk, 1000);
                if (!message)
                        continue;
                if (!message->err) {
                        int64_t sent;
                        memcpy(&sent, message->payload, sizeof(sent));
                        if (got++ >= first_counted)
                                latencies_add(&latencies, (now_nanos() - sent) / 1e3);
                        received = got;
                }
                rd_kafka_message_destroy(message);
        }
        return NULL;
}

static void send_stamped(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct job *job, int partition, int64_t i) {
        char value[16384];
        int64_t now = now_nanos();
        memcpy(value, record_of(job, i), job->bytes);
        memcpy(value, &now, sizeof(now));
        while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value, job->bytes, NULL, 0, NULL) == -1) {
                if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                        fail("%s", rd_kafka_err2str(rd_kafka_last_error()));
                rd_kafka_poll(rk, 1);
        }
}

/* Every millisecond as many records as are due by then, whether or not earlier ones have arrived. */
void end_to_end(const struct job *job) {
        int64_t total = job->rate * job->seconds, warm = job->warmup;
        rd_kafka_t *rk = open_producer(job);
        rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, job->topic, NULL);
        struct reader reader = {open_consumer(job, 0, job->partitions), total + warm};
        pthread_t thread;
        first_counted = warm;
        pthread_create(&thread, NULL, handle, &reader);
        struct watch watch = {0};
        int64_t start = now_nanos();
        for (int64_t sent = 0; sent < total + warm;) {
                int64_t due = (now_nanos() - start) / 1000 * job->rate / 1000000;
                for (; sent < due && sent < total + warm; sent++) {
                        if (sent == warm)
                                watch = watch_begin();
                        send_stamped(rk, topic, job, RD_KAFKA_PARTITION_UA, sent);
                }
                rd_kafka_poll(rk, 0);
                nanosleep(&(struct timespec) {.tv_nsec = 1000000}, NULL);
        }
        pthread_join(thread, NULL);
        rd_kafka_flush(rk, 10000);
        watch_end(watch, total, total + warm, &latencies);
        exit(0); /* nothing is left to be sent; closing the consumer is not measured */
}

/* Producer i writes to partition i and consumer i reads it; librdkafka has threads of its own for each of them. */
void fan(const struct job *job) {
        int n = job->clients;
        int64_t each = job->records / n;
        rd_kafka_t **producers = calloc(n, sizeof(*producers));
        rd_kafka_topic_t **topics = calloc(n, sizeof(*topics));
        struct watch watch = watch_begin();
        rd_kafka_queue_t *queue = NULL;
        for (int c = 0; c < n; c++) {
                producers[c] = open_producer(job);
                topics[c] = rd_kafka_topic_new(producers[c], job->topic, NULL);
                rd_kafka_t *consumer = open_consumer(job, c, c + 1);
                /* All consumers' records come out of one queue: the cheapest way to serve many from one thread. */
                rd_kafka_queue_t *own = rd_kafka_queue_get_consumer(consumer);
                if (queue)
                        rd_kafka_queue_forward(own, queue);
                else
                        queue = own;
        }
        rd_kafka_message_t *messages[1000];
        int64_t got = 0, sent = 0;
        while (got < each * n) {
                for (int c = 0; c < n && sent < each; c++) {
                        for (int64_t k = sent; k < sent + 100 && k < each; k++)
                                send_stamped(producers[c], topics[c], job, c, k);
                        rd_kafka_poll(producers[c], 0);
                }
                sent = sent + 100 < each ? sent + 100 : each;
                ssize_t count = rd_kafka_consume_batch_queue(queue, sent < each ? 0 : 100, messages, 1000);
                for (ssize_t i = 0; i < count; i++) {
                        got += !messages[i]->err;
                        rd_kafka_message_destroy(messages[i]);
                }
        }
        for (int c = 0; c < n; c++)
                rd_kafka_flush(producers[c], 10000);
        watch_end(watch, got, got, NULL);
        exit(0); /* closing two hundred clients is not measured */
}
