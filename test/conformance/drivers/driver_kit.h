/* What the driver in C needs beside dohle.h and cJSON: bytes as the protocol writes them, SHA-256, base64. */
#ifndef DRIVER_KIT_H
#define DRIVER_KIT_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes, or NULL for null. `bytes` is to be freed. */
typedef struct {
    uint8_t *bytes;
    size_t length;
} Bytes;

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static inline char *base64(const uint8_t *bytes, size_t length) {
    char *text = malloc(4 * ((length + 2) / 3) + 1), *to = text;
    for (size_t i = 0; i < length; i += 3) {
        uint32_t word = (uint32_t)bytes[i] << 16;
        if (i + 1 < length) word |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < length) word |= bytes[i + 2];
        *to++ = base64_letters[word >> 18];
        *to++ = base64_letters[word >> 12 & 63];
        *to++ = i + 1 < length ? base64_letters[word >> 6 & 63] : '=';
        *to++ = i + 2 < length ? base64_letters[word & 63] : '=';
    }
    *to = 0;
    return text;
}

static inline Bytes unbase64(const char *text) {
    Bytes out = {malloc(strlen(text) / 4 * 3 + 3), 0};
    uint32_t word = 0;
    int bits = 0;
    for (; *text != 0 && *text != '='; text++) {
        word = word << 6 | (uint32_t)(strchr(base64_letters, *text) - base64_letters);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        out.bytes[out.length++] = (uint8_t)(word >> bits);
    }
    return out;
}

static inline uint32_t rotated(uint32_t x, int by) { return x >> by | x << (32 - by); }

static inline void sha256_block(uint32_t state[8], const uint8_t *block) {
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
        0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
        0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
        0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
        0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
        0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++, block += 4)
        w[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t b = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t one = s[7] + (rotated(s[4], 6) ^ rotated(s[4], 11) ^ rotated(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t two = (rotated(s[0], 2) ^ rotated(s[0], 13) ^ rotated(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
}

static inline void sha256(const uint8_t *bytes, size_t length, char hex[65]) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t last[128] = {0};
    size_t whole = length / 64, left = length % 64, end = left < 56 ? 64 : 128;
    for (size_t i = 0; i < whole; i++) sha256_block(state, bytes + 64 * i);
    if (left > 0) memcpy(last, bytes + 64 * whole, left);
    last[left] = 0x80;
    for (int i = 0; i < 8; i++) last[end - 1 - i] = (uint8_t)((uint64_t)length * 8 >> 8 * i);
    for (size_t i = 0; i < end; i += 64) sha256_block(state, last + i);
    for (int i = 0; i < 8; i++) sprintf(hex + 8 * i, "%08x", state[i]);
}

/* Members of a request; what is absent is null, 0 or the default. */
static inline const cJSON *member(const cJSON *of, const char *name) {
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(of, name);
    return cJSON_IsNull(found) ? NULL : found;
}
static inline const char *text_of(const cJSON *of, const char *name) { return cJSON_GetStringValue(member(of, name)); }
static inline int64_t number_of(const cJSON *of, const char *name, int64_t otherwise) {
    const cJSON *found = member(of, name);
    return cJSON_IsNumber(found) ? (int64_t)found->valuedouble : otherwise;
}

/* A copy of a member, or null. */
static inline cJSON *copy_of(const cJSON *of, const char *name) {
    const cJSON *found = member(of, name);
    return found == NULL ? cJSON_CreateNull() : cJSON_Duplicate(found, 1);
}

/* Bytes as a request has them. */
static inline Bytes bytes_of(const cJSON *spec) {
    Bytes out = {NULL, 0};
    if (spec == NULL || cJSON_IsNull(spec)) return out;
    if (cJSON_IsString(spec)) {
        out.length = strlen(spec->valuestring);
        out.bytes = malloc(out.length + 1);
        memcpy(out.bytes, spec->valuestring, out.length);
    } else if (text_of(spec, "base64") != NULL) {
        out = unbase64(text_of(spec, "base64"));
    } else if (text_of(spec, "repeat") != NULL) {
        const char *text = text_of(spec, "repeat");
        size_t one = strlen(text), times = (size_t)number_of(spec, "times", 0);
        out.bytes = malloc(one * times + 1);
        for (; times > 0; times--, out.length += one) memcpy(out.bytes + out.length, text, one);
    } else {
        uint32_t x = (uint32_t)number_of(spec, "noise", 0);
        size_t count = (size_t)number_of(spec, "bytes", 0);
        out.bytes = malloc(count + 1);
        while (out.length < count) {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            out.bytes[out.length++] = (uint8_t)x;
        }
    }
    return out;
}

/* Bytes as an answer has them. */
static inline cJSON *told_bytes(const uint8_t *bytes, size_t length) {
    if (bytes == NULL) return cJSON_CreateNull();
    cJSON *told = cJSON_CreateObject();
    if (length <= 4096) {
        char *text = base64(bytes, length);
        cJSON_AddStringToObject(told, "base64", text);
        free(text);
    } else {
        char hex[65];
        sha256(bytes, length, hex);
        cJSON_AddStringToObject(told, "sha256", hex);
        cJSON_AddNumberToObject(told, "length", (double)length);
    }
    return told;
}

/* A number as the cold operations have those of 64 bits: decimal text. */
static inline void add_long(cJSON *to, const char *name, int64_t number) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)number);
    cJSON_AddStringToObject(to, name, text);
}

/* The same of an answer, as a number; null stays. */
static inline void add_number(cJSON *to, const char *name, const cJSON *from) {
    if (cJSON_IsString(from)) cJSON_AddNumberToObject(to, name, (double)strtoll(from->valuestring, NULL, 10));
    else if (cJSON_IsNumber(from)) cJSON_AddNumberToObject(to, name, from->valuedouble);
    else cJSON_AddNullToObject(to, name);
}

#endif
