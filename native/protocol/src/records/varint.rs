//! Zigzag varints of records: 32-bit lengths and deltas, 64-bit timestamp deltas.
//!
//! Reading is the inner loop of the indexer: one- and two-byte forms have a path of their own.

/// The longest 32-bit and 64-bit forms.
pub(crate) const MAX_VARINT: usize = 5;
pub(crate) const MAX_VARLONG: usize = 10;

/// Why a varint could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VarintError {
    /// The bytes end inside it.
    End,
    /// It is longer than its type allows.
    Long,
}

/// Reads a 32-bit zigzag varint at `*position` and moves behind it.
#[inline(always)]
pub(crate) fn read_varint(bytes: &[u8], position: &mut usize) -> Result<i32, VarintError> {
    match read_short(bytes, position) {
        Some(raw) => Ok(unzigzag32(raw)),
        None => read_slow(bytes, position, MAX_VARINT, 0x0f).map(|raw| unzigzag32(raw as u32)),
    }
}

/// Reads a 64-bit zigzag varint at `*position` and moves behind it.
#[inline(always)]
pub(crate) fn read_varlong(bytes: &[u8], position: &mut usize) -> Result<i64, VarintError> {
    match read_short(bytes, position) {
        Some(raw) => Ok(unzigzag64(u64::from(raw))),
        None => read_slow(bytes, position, MAX_VARLONG, 0x01).map(unzigzag64),
    }
}

/// Forms of up to three bytes: nearly all lengths, and deltas up to a million. A record may end with any of them.
#[inline(always)]
fn read_short(bytes: &[u8], position: &mut usize) -> Option<u32> {
    let a = *bytes.get(*position)?;
    if a < 0x80 {
        *position += 1;
        return Some(u32::from(a));
    }
    let b = *bytes.get(*position + 1)?;
    if b < 0x80 {
        *position += 2;
        return Some(u32::from(a & 0x7f) | u32::from(b) << 7);
    }
    let c = *bytes.get(*position + 2)?;
    if c >= 0x80 {
        return None;
    }
    *position += 3;
    Some(u32::from(a & 0x7f) | u32::from(b & 0x7f) << 7 | u32::from(c) << 14)
}

/// `last_mask` is what the last byte of the longest form may hold.
#[cold]
#[inline(never)]
fn read_slow(bytes: &[u8], position: &mut usize, max: usize, last_mask: u8) -> Result<u64, VarintError> {
    let rest = bytes.get(*position..).unwrap_or_default();
    let mut raw = 0u64;
    for (i, &byte) in rest.iter().take(max).enumerate() {
        if i == max - 1 && byte & !last_mask != 0 {
            return Err(VarintError::Long);
        }
        raw |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *position += i + 1;
            return Ok(raw);
        }
    }
    Err(if rest.len() < max { VarintError::End } else { VarintError::Long })
}

/// Writes `value` at `*at` and moves behind it, in a part that is larger than all that is ever put into it. Its size is a
/// power of two: masking the index spares the checks. A 32-bit value has the same form.
#[inline(always)]
pub(crate) fn put_varlong<const N: usize>(out: &mut [u8; N], at: &mut usize, value: i64) {
    const { assert!(N.is_power_of_two()) };
    let mut raw = zigzag64(value);
    while raw >= 0x80 {
        out[*at & (N - 1)] = raw as u8 | 0x80;
        raw >>= 7;
        *at += 1;
    }
    out[*at & (N - 1)] = raw as u8;
    *at += 1;
}

/// Bytes that `value` takes.
#[inline(always)]
pub(crate) const fn varint_len(value: i32) -> usize {
    raw_len(zigzag32(value) as u64)
}

#[inline(always)]
const fn raw_len(raw: u64) -> usize {
    let bits = 64 - (raw | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

const fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

const fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

const fn unzigzag32(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

const fn unzigzag64(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_round_trips() {
        for shift in 0..64 {
            for value in [1i64 << shift, (1i64 << shift).wrapping_sub(1), (1i64 << shift).wrapping_neg(), !0 << shift] {
                let (mut out, mut used) = ([0; 16], 0);
                put_varlong(&mut out, &mut used, value);
                let mut position = 0;
                assert_eq!(read_varlong(&out[..used], &mut position), Ok(value));
                assert_eq!(position, used);
                assert_eq!(read_varlong(&out[..used - 1], &mut 0), Err(VarintError::End));

                let value = value as i32;
                let (mut out, mut used) = ([0; 8], 0);
                put_varlong(&mut out, &mut used, i64::from(value));
                assert_eq!(used, varint_len(value));
                let mut position = 0;
                assert_eq!(read_varint(&out[..used], &mut position), Ok(value));
                assert_eq!(position, used);
                assert_eq!(read_varint(&out[..used - 1], &mut 0), Err(VarintError::End));
            }
        }
    }

    #[test]
    fn a_varint_that_does_not_end_is_refused() {
        assert_eq!(read_varint(&[0xff; 6], &mut 0), Err(VarintError::Long));
        assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0x1f], &mut 0), Err(VarintError::Long));
        assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0x0f], &mut 0), Ok(i32::MIN));
        assert_eq!(read_varlong(&[0xff; 11], &mut 0), Err(VarintError::Long));
        assert_eq!(read_varlong(&[], &mut 0), Err(VarintError::End));
    }
}
