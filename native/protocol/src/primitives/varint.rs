//! Variable-length integers: unsigned as in flexible versions (KIP-482), zigzag as in record batches.
//! Only slices: cursors and error paths are the callers'.
//! Driven by `Decoder`, `Encoder` and `records`.

/// Reads an unsigned varint of up to 5 bytes: the value and its length. `None` when it is cut off, longer or overflows.
#[inline]
pub fn read_u32(bytes: &[u8]) -> Option<(u32, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((u32::from(first), 1));
    }
    let mut value = u32::from(first & 0x7f);
    for (i, &byte) in bytes.iter().enumerate().take(5).skip(1) {
        if i == 4 && byte > 0x0f {
            return None;
        }
        value |= u32::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((value, i + 1));
        }
    }
    None
}

/// Reads an unsigned varint of up to 10 bytes: the value and its length. `None` when it is cut off, longer or overflows.
#[inline]
pub fn read_u64(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        if i == 9 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((value, i + 1));
        }
    }
    None
}

/// Reads a zigzag varint of 32 bits.
#[inline]
pub fn read_i32(bytes: &[u8]) -> Option<(i32, usize)> {
    read_u32(bytes).map(|(raw, used)| ((raw >> 1) as i32 ^ -((raw & 1) as i32), used))
}

/// Reads a zigzag varint of 64 bits.
#[inline]
pub fn read_i64(bytes: &[u8]) -> Option<(i64, usize)> {
    read_u64(bytes).map(|(raw, used)| ((raw >> 1) as i64 ^ -((raw & 1) as i64), used))
}

/// Zigzag: small absolute values become small unsigned ones.
#[inline]
pub const fn zigzag_32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

/// Zigzag: small absolute values become small unsigned ones.
#[inline]
pub const fn zigzag_64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Bytes that `value` takes as an unsigned varint.
#[inline]
pub const fn len_u32(value: u32) -> usize {
    ((38 - value.leading_zeros()) / 7) as usize + (value == 0) as usize
}

/// Bytes that `value` takes as an unsigned varint.
#[inline]
pub const fn len_u64(value: u64) -> usize {
    ((70 - value.leading_zeros()) / 7) as usize + (value == 0) as usize
}

/// Bytes that `value` takes as a zigzag varint.
#[inline]
pub const fn len_i32(value: i32) -> usize {
    len_u32(zigzag_32(value))
}

/// Bytes that `value` takes as a zigzag varint.
#[inline]
pub const fn len_i64(value: i64) -> usize {
    len_u64(zigzag_64(value))
}

/// Writes an unsigned varint into the front of `out` and returns how many bytes it took (at most 10).
#[inline]
pub fn write_u64(out: &mut [u8; 10], mut value: u64) -> usize {
    let mut used = 0;
    while value >= 0x80 {
        out[used] = value as u8 | 0x80;
        value >>= 7;
        used += 1;
    }
    out[used] = value as u8;
    used + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back_and_the_length_is_foretold(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            let mut out = [0; 10];
            let used = write_u64(&mut out, value);
            prop_assert_eq!(read_u64(&out[..used]), Some((value, used)));
            prop_assert_eq!(len_u64(value), used);
            prop_assert_eq!(read_u64(&out[..used - 1]), None);
            if let Ok(small) = u32::try_from(value) {
                prop_assert_eq!(read_u32(&out[..used]), Some((small, used)));
                prop_assert_eq!(len_u32(small), used);
            }
        }

        #[test]
        fn zigzag_is_reversible(value: i64) {
            let mut out = [0; 10];
            let used = write_u64(&mut out, zigzag_64(value));
            prop_assert_eq!(read_i64(&out[..used]), Some((value, used)));
            prop_assert_eq!(len_i64(value), used);
            let used = write_u64(&mut out, u64::from(zigzag_32(value as i32)));
            prop_assert_eq!(read_i32(&out[..used]), Some((value as i32, used)));
            prop_assert_eq!(len_i32(value as i32), used);
        }
    }

    #[test]
    fn overlong_and_overflowing_varints_are_refused() {
        assert_eq!(read_u32(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some((u32::MAX, 5)));
        assert_eq!(read_u32(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None);
        assert_eq!(read_u32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), None);
        assert_eq!(read_u64(&[0xff; 10]), None);
        assert_eq!(read_u64(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Some((u64::MAX, 10)));
        assert_eq!(read_u64(&[]), None);
    }
}
