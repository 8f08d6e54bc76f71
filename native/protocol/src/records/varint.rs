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
    if let Some(&[a, b]) = bytes.get(*position..).and_then(|rest| rest.first_chunk::<2>()) {
        if a < 0x80 {
            *position += 1;
            return Ok(unzigzag32(u32::from(a)));
        }
        if b < 0x80 {
            *position += 2;
            return Ok(unzigzag32(u32::from(a & 0x7f) | u32::from(b) << 7));
        }
    }
    read_slow(bytes, position, MAX_VARINT, 0x0f).map(|raw| unzigzag32(raw as u32))
}

/// Reads a 64-bit zigzag varint at `*position` and moves behind it.
#[inline(always)]
pub(crate) fn read_varlong(bytes: &[u8], position: &mut usize) -> Result<i64, VarintError> {
    if let Some(&a) = bytes.get(*position)
        && a < 0x80
    {
        *position += 1;
        return Ok(unzigzag64(u64::from(a)));
    }
    read_slow(bytes, position, MAX_VARLONG, 0x01).map(unzigzag64)
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

/// Writes `value` into `out` and returns the bytes used.
#[inline(always)]
pub(crate) fn write_varint(out: &mut [u8], value: i32) -> usize {
    write_raw(out, u64::from(zigzag32(value)))
}

/// Writes `value` into `out` and returns the bytes used.
#[inline(always)]
pub(crate) fn write_varlong(out: &mut [u8], value: i64) -> usize {
    write_raw(out, zigzag64(value))
}

#[inline(always)]
fn write_raw(out: &mut [u8], mut raw: u64) -> usize {
    let mut used = 0;
    while raw >= 0x80 {
        out[used] = raw as u8 | 0x80;
        raw >>= 7;
        used += 1;
    }
    out[used] = raw as u8;
    used + 1
}

/// Bytes that `value` takes.
#[inline(always)]
pub(crate) const fn varint_len(value: i32) -> usize {
    raw_len(zigzag32(value) as u64)
}

/// Bytes that `value` takes.
#[inline(always)]
pub(crate) const fn varlong_len(value: i64) -> usize {
    raw_len(zigzag64(value))
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
                let mut out = [0; MAX_VARLONG];
                let used = write_varlong(&mut out, value);
                assert_eq!(used, varlong_len(value));
                let mut position = 0;
                assert_eq!(read_varlong(&out[..used], &mut position), Ok(value));
                assert_eq!(position, used);
                assert_eq!(read_varlong(&out[..used - 1], &mut 0), Err(VarintError::End));

                let value = value as i32;
                let used = write_varint(&mut out, value);
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
