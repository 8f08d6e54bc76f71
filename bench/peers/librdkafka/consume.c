/* Records in: one by one (rd_kafka_consumer_poll) or many per call (rd_kafka_consume_batch_queue). */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* What a program does with a record at the least: looks at it. Kept, so that no compiler leaves it out. */
static volatile uint64_t touched;

static rd_kafka_t *consumer(const struct job *job) {
        char error[256];
        rd_kafka_conf_t *conf = common_conf(job);
        set(conf, "group.id", "bench");
        set(conf, "enable.auto.commit", "false");
        set(conf, "auto.offset.reset", "earliest");
        /* With the defaults (100,000 and a second) it stands still whenever its queue is full: a third of the rate. */
        set(conf, "queued.min.messages", "1000000");
        set(conf, "fetch.queue.backoff.ms", "10");
        /* Defaults; 10 MB per partition took more CPU. check.crcs stays off (its default): cheaper; Dohle checks them. */
        set(conf, "fetch.max.bytes", "52428800");
        set(conf, "max.partition.fetch.bytes", "1048576");
        rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof(error));
        if (!rk)
                fail("%s", error);
        rd_kafka_poll_set_consumer(rk);
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(job->partitions);
        for (int p = 0; p < job->partitions; p++)
                rd_kafka_topic_partition_list_add(list, job->topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
        rd_kafka_resp_err_t failed = rd_kafka_assign(rk, list);
        if (failed)
                fail("%s", rd_kafka_err2str(failed));
        rd_kafka_topic_partition_list_destroy(list);
        return rk;
}

static int touch(rd_kafka_message_t *message) {
        int good = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        if (good)
                touched += message->len + ((const unsigned char *)message->payload)[0];
        else
                fprintf(stderr, "%s\n", rd_kafka_message_errstr(message));
        rd_kafka_message_destroy(message);
        return good;
}

static void read_all(const struct job *job, int batches, int64_t records, struct watch *watch) {
        rd_kafka_t *rk = consumer(job);
        rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
        rd_kafka_message_t *messages[1000];
        int64_t got = 0;
        while (got < records) {
                ssize_t n = 1;
                if (batches)
                        n = rd_kafka_consume_batch_queue(queue, 1000, messages, 1000);
                else if (!(messages[0] = rd_kafka_consumer_poll(rk, 1000)))
                        n = 0;
                if (got == 0 && n > 0 && watch)
                        watch_arrived(watch);
                for (ssize_t i = 0; i < n; i++)
                        got += touch(messages[i]);
        }
        if (watch)
                watch_end(*watch, got, 0, NULL);
        rd_kafka_queue_destroy(queue);
        rd_kafka_consumer_close(rk);
        rd_kafka_destroy(rk);
}

void consume(const struct job *job, int batches) {
        if (job->warmup > 0)
                read_all(job, batches, job->warmup, NULL);
        struct watch watch = watch_begin();
        read_all(job, batches, job->records, &watch);
}
