/** How keys and values become bytes, and bytes keys and values: under the names of Kafka's own client. */
package io.dohle.serialization;
