// SPDX-License-Identifier: GPL-2.0-only
/*
 * MRTD, the measurement of a TD as it was built: SHA-384 over one 128-byte record
 * for each TDH.MEM.PAGE.ADD, and for each TDH.MR.EXTEND another one and the 256
 * bytes that it covers. All of that comes in whole blocks of the hash (FIPS
 * 180-4), so nothing is ever buffered.
 */
#include "state.h"

#define WORDS (EMU_MEASURE_BLOCK / 8)
#define ROUNDS 80
#define CHUNK 256

static const u64 round_constants[ROUNDS] = {
	0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
	0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
	0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
	0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
	0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
	0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
	0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
	0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
	0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
	0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
	0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
	0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
	0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
	0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
	0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
	0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
	0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
	0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
	0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
	0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

static u64 rotate(u64 x, unsigned int by)
{
	return x >> by | x << (64 - by);
}

static u64 load_be(const u8 *p)
{
	u64 x = 0;
	int i;

	for (i = 0; i < 8; i++)
		x = x << 8 | p[i];
	return x;
}

/* The message schedule is a ring of 16 words. */
static void add_block(struct emu_measure *s, const u8 *block)
{
	u64 w[WORDS], v[8], t1, t2, x, y;
	int i;

	for (i = 0; i < WORDS; i++)
		w[i] = load_be(block + 8 * i);
	memcpy(v, s->state, sizeof(v));
	for (i = 0; i < ROUNDS; i++) {
		if (i >= WORDS) {
			x = w[(i + 1) % WORDS];
			y = w[(i + 14) % WORDS];
			w[i % WORDS] += w[(i + 9) % WORDS] +
					(rotate(x, 1) ^ rotate(x, 8) ^ x >> 7) +
					(rotate(y, 19) ^ rotate(y, 61) ^ y >> 6);
		}
		t1 = v[7] + (rotate(v[4], 14) ^ rotate(v[4], 18) ^ rotate(v[4], 41)) +
		     ((v[4] & v[5]) ^ (~v[4] & v[6])) + round_constants[i] + w[i % WORDS];
		t2 = (rotate(v[0], 28) ^ rotate(v[0], 34) ^ rotate(v[0], 39)) +
		     ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(&v[1], &v[0], 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (i = 0; i < 8; i++)
		s->state[i] += v[i];
	s->blocks++;
}

void emu_measure_init(struct emu_measure *s)
{
	static const u64 initial[8] = {
		0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
		0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4,
	};

	memcpy(s->state, initial, sizeof(initial));
	s->blocks = 0;
}

/* What was done, padded to 16 bytes, then where. */
static void add_record(struct emu_measure *s, const char *what, size_t length, u64 gpa)
{
	u8 block[EMU_MEASURE_BLOCK] = { 0 };

	memcpy(block, what, length);
	memcpy(block + 16, &gpa, sizeof(gpa));
	add_block(s, block);
}

void emu_measure_page(struct emu_measure *s, u64 gpa)
{
	add_record(s, "MEM.PAGE.ADD", 12, gpa);
}

void emu_measure_chunk(struct emu_measure *s, u64 gpa, const void *bytes)
{
	const u8 *p = bytes;
	size_t i;

	add_record(s, "MR.EXTEND", 9, gpa);
	for (i = 0; i < CHUNK; i += EMU_MEASURE_BLOCK)
		add_block(s, p + i);
}

void emu_measure_finish(struct emu_measure *s, u8 mrtd[EMU_MRTD_SIZE])
{
	u64 bits = s->blocks * EMU_MEASURE_BLOCK * 8;
	u8 block[EMU_MEASURE_BLOCK] = { 0x80 };
	int i;

	for (i = 0; i < 8; i++)
		block[EMU_MEASURE_BLOCK - 1 - i] = bits >> 8 * i;
	add_block(s, block);
	for (i = 0; i < EMU_MRTD_SIZE; i++)
		mrtd[i] = s->state[i / 8] >> (56 - 8 * (i % 8));
}
