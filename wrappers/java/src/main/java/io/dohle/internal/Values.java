package io.dohle.internal;

import io.dohle.KafkaException;
import io.dohle.TopicPartition;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** Kinds of values that JSON has another form for: 64 bits are decimal strings, bytes are base64, some doubles are strings. */
public final class Values {
    private Values() {}

    /** 64 bits. */
    public static Long readLong(Object value) {
        return Long.valueOf((String) value);
    }

    /** 32 bits. */
    public static Integer readInt(Object value) {
        return Math.toIntExact((Long) value);
    }

    /** A double. */
    public static Double readDouble(Object value) {
        return value instanceof String name ? Double.valueOf(name) : Double.valueOf(((Number) value).doubleValue());
    }

    /** Bytes. */
    public static byte[] readBytes(Object value) {
        return Base64.getDecoder().decode((String) value);
    }

    /** Bytes, for the engine. */
    public static String writeBytes(byte[] value) {
        return Base64.getEncoder().encodeToString(value);
    }

    /** A failure. */
    @SuppressWarnings("unchecked")
    public static KafkaException readFailure(Object value) {
        return Failures.of((Map<String, Object>) value);
    }

    /** A partition. */
    public static TopicPartition readTopicPartition(Object value) {
        Map<?, ?> of = (Map<?, ?>) value;
        return new TopicPartition((String) of.get("topic"), readInt(of.get("partition")));
    }

    /** A partition, for the engine. */
    public static Map<String, Object> writeTopicPartition(TopicPartition value) {
        return Json.map("topic", value.topic(), "partition", value.partition());
    }

    /** A list. */
    public static <T> List<T> readList(Object value, Function<Object, T> each) {
        List<T> list = new ArrayList<>();
        ((List<?>) value).forEach(element -> list.add(element == null ? null : each.apply(element)));
        return Collections.unmodifiableList(list);
    }

    /** A map by text. */
    public static <T> Map<String, T> readMap(Object value, Function<Object, T> each) {
        Map<String, T> map = new LinkedHashMap<>();
        ((Map<?, ?>) value).forEach((name, of) -> map.put((String) name, of == null ? null : each.apply(of)));
        return Collections.unmodifiableMap(map);
    }

    /** A list, for the engine. */
    public static <T> List<Object> writeList(Collection<T> value, Function<T, Object> each) {
        List<Object> list = new ArrayList<>();
        value.forEach(element -> list.add(each.apply(element)));
        return list;
    }

    /** A map, for the engine. */
    public static <T> Map<String, Object> writeMap(Map<String, T> value, Function<T, Object> each) {
        Map<String, Object> map = new LinkedHashMap<>();
        value.forEach((name, of) -> map.put(name, each.apply(of)));
        return map;
    }
}
