/* lattice.c: the blocks of IQ1, IQ2 and IQ3: eight (or four) weights are a point of a list, and each has a sign.
 * Not the other layouts: block.h.
 * Next: panel.c, which packs the parts.
 *
 * Bytes of a block of 256 weights, fields in this order; x: the low bits of the number of a point, h: those above, g:
 * signs:
 *
 *   IQ1_S     50   d, x[32], h u16[8]: 4 x 3 bits, 3 of the scale, a sign      (point + sign / 8) (2 s + 1) d
 *   IQ1_M     56   x[32], h[16]: 2 x (3 bits, a sign), s u16[4]: 4 x 3 bits, and in their upper four bits d      the
 *   same
 *   IQ2_XXS   66   d, 8 x (x[4], u32: 4 x 7 bits of g, 4 of the scale)         point (2 s + 1) d / 8
 *   IQ2_XS    74   d, x u16[32]: 9 bits, 7 of g; s[8]                          the same, a scale for 16
 *   IQ2_S     82   d, x[32], g[32], h[8], s[8]                                 the same
 *   IQ3_XXS   98   d, x[64], 8 x u32: 4 x 7 bits of g, 4 of the scale          point (2 s + 1) d / 4
 *   IQ3_S    110   d, x[64], h[8], g[32], s[4]                                 point (2 s + 1) d
 *
 * Of seven signs the eighth is the parity.  Coordinates count from 0; what they stand for are the codes of panel.c,
 * where a sign is the fourth bit.  The lists are sorted: the first coordinate is the lowest digit.  So a list is a set,
 * and is written as one: a bit for every point of its kind in ascending order (of most lists: every point whose
 * coordinates have an even sum). */
#include <pthread.h>

#include "ops/block.h"

/* Which points are in the lists. */
/* clang-format off */
static const uint64_t members_iq1[103] = {
    0x514202a085142555, 0xa28a2086a8314508, 0x14508514202a081a, 0xa005152545442082, 0x8208001888208202,
    0x0aaabb88a02a03a0, 0xaa0a0022000baa90, 0x4508514008a0828c, 0x0851421450808821, 0x2a8008a09808308a,
    0x4248208514214508, 0x20a0c22c01450855, 0xa2aaa8242a00268a, 0x0028280808afe208, 0xa82028aa284202a0,
    0xa8bab9089b0a2080, 0x3aaaaea289aeca20, 0xb80e82bbbaeaeb7c, 0x2202920ed3caba22, 0x820aba8aa8202200,
    0x3ba2e04a2a000802, 0x81408100a22b2022, 0x8514012208288aaa, 0x5421450920821550, 0x203aa8230208a085,
    0xa208514254208284, 0x082a021450950820, 0x200248a08082a8b8, 0xab2802a268a28208, 0x083082082085082a,
    0xa085142145004045, 0x8229014500514200, 0x1430a1082a828a00, 0x2145082882145005, 0x2aaa200202208514,
    0xa828ae8ab1122000, 0x0a820070a8aaa1ba, 0x8200840222280208, 0xaa2ab0eaa0804800, 0xa7daea22ba8b20c2,
    0xaa2ab092a86e8b8b, 0x48202a0c448a8b72, 0x20aa082a8a284084, 0xa09aafa222a2ccc8, 0xa82a00020002a8e8,
    0xa2a28ba080200088, 0xba0a328280a0ba28, 0x2ba0a2ebfebab8be, 0x00a2ea280a8a08a2, 0xdeeaa4fa0c0232a1,
    0xeb7ebe8d2ea82bef, 0xdeba7de6bf7ff7fa, 0x12fa26bfff27fb69, 0x0ebeaa10228ae1e9, 0xae820ba8b208aa84,
    0x62048083e924baff, 0x002ba40aa8f2682c, 0x0012aae208082a02, 0x82c920a60a2a8202, 0x8c00a20028829089,
    0x6c00080882001380, 0x8abea602bbaaaa8a, 0xd02e976b8002caa0, 0xdeaa2e108210e9b2, 0x820a0004a5d11528,
    0x20a1010820828a00, 0xa0843222ba39aa82, 0x0262a28a00188009, 0xac21450051441481, 0x20aa085142145082,
    0x45082a120a87aa28, 0x08514208a0051421, 0x22a240a002200145, 0x8a6a08a208008800, 0x0a200080aaaab86e,
    0x5044082122c8e282, 0x8515208a09514214, 0x2a2aaa080a861450, 0x21450851420a0080, 0xe2085142145000a8,
    0x082a82180a828820, 0x0a028bb08aaaa2aa, 0x0aaa80822820aa2a, 0x220288a900280828, 0xba8a08b8280bbea0,
    0xaef8a4baffaeb24b, 0x30a0b668285220aa, 0x6a220828020a80e6, 0x2baaaa020a208062, 0x0808a2a0a9a2eaaa,
    0x0e8200228aa02010, 0x400aa08514214500, 0x4a0006a921450851, 0x440d1000a50802aa, 0x0514214508288214,
    0x0020f2ac82820800, 0x20ba0a280aaa0000, 0x280948820002a2ea, 0x0051454b110014e9, 0x5142145002a80145,
    0x400a288808248808, 0x02a0051401450008, 0x0000000145085140,
};
static const uint64_t members_iq2_s[52] = {
    0xfbcdff537fbfdfff, 0xfc45502fc4de6736, 0xe6ff6ffcdbe7fffb, 0x5f7804c26d02f84d, 0x0884da2f38114dff,
    0xbddfe08000434610, 0xc06f37fbffe6d77f, 0x6ff6fbc026032996, 0x36804c26f37f84de, 0x184de2df80040261,
    0x4024200404c26f00, 0x051239d7de000020, 0x12d04402613389ce, 0x6804c26f36fa0300, 0x0202013000502613,
    0x027008004c065000, 0x1820008200400000, 0xf3fbcda67ffbffc0, 0x800c26d27984de6f, 0x4de6ff09bcdfefff,
    0xf6400804c26f009c, 0x100984de01209bcd, 0x7fbc000000804c08, 0x04c26f37f80de6ff, 0xde6ff00060261368,
    0x6000804c26f00984, 0x08984de000000502, 0x404000000804c001, 0x4826d37ba0080000, 0x2012040402613780,
    0x000804c26d100010, 0x0000020204044026, 0x04100400004c0400, 0x0002000000000080, 0x6fb01945e65b7880,
    0x00004c07580980de, 0x984de01309bc5fe0, 0x4000000c04c01100, 0x8010018800013019, 0xfb10083002000000,
    0x0044c06500984de4, 0x84de800000402600, 0x500000804c081009, 0x0140980004040004, 0x00000050000c0000,
    0x004e455008000000, 0x8240002004001200, 0x10000804d01a0006, 0x0000000000004048, 0x1000000808000002,
    0x0016180020080000, 0x0000000000010040,
};
static const uint64_t members_iq2_xs[52] = {
    0x9bcffe1b79bfdfff, 0xfc01102984de0134, 0x221309bc0261779b, 0x53f8008003409800, 0x0480020138804126,
    0xbcdfe14000012010, 0xc0c100984de01389, 0x41b09bc000100805, 0x2080000010098002, 0x2008203300000100,
    0x0000000200000500, 0x20100984ff000008, 0x001004000404804c, 0x08000001809a0020, 0x0000101040004200,
    0x0002040100219400, 0x1a00004100104000, 0x309bc02653f9bfc0, 0x8000001819880a01, 0x00241301040261b7,
    0x2600000480110800, 0x0809004200011140, 0x49bc000000000800, 0x0000030298002013, 0x0221380000040008,
    0x0004800000910084, 0x0088082200400040, 0x0000000018400100, 0x1044100980080000, 0x04000000000000c0,
    0x0000000081010002, 0x0000004000014020, 0x0000100000040000, 0x0440002000000020, 0x017c00c027137800,
    0x0180002010000242, 0x1000200808040e69, 0x4001000020080000, 0x0000022006100202, 0x1342240002000000,
    0x0100040100101020, 0x000a008020000000, 0x0600004000000049, 0x2000000000010000, 0x0000001000020000,
    0x000221b000040004, 0x0168000480000100, 0x8000080002010004, 0x0000000000000000, 0x4800000b08020080,
    0x0030000030000002, 0x0000000000010100,
};
static const uint64_t members_iq2_xxs[52] = {
    0x0040a62099a4f67f, 0x4c00200008060820, 0x3004082c82610598, 0x826900800100c004, 0x0000020020020066,
    0x0442600000000420, 0x0001088041205208, 0x0082824000002100, 0x4080004000400002, 0x0800201300000000,
    0x0000100000000500, 0x0031010026000008, 0x00000c0000044000, 0x0800008100980000, 0x0000000000080200,
    0x0000200000208008, 0x0000100000000000, 0x008040261449a4c0, 0x8001088008800a20, 0x0004200404000104,
    0x2600000000010000, 0x2140000200000140, 0x0ca4020002000000, 0x0000020010012000, 0x0000000800000001,
    0x2000000001001800, 0x2000242000010000, 0x0200000008000000, 0x0100100900000000, 0x0080000008000080,
    0x0000000005000040, 0x0000000020000060, 0x0000000100000000, 0x0000000000000000, 0x0820008002009800,
    0x0000000200000002, 0x2000200008040a60, 0x8000100802004000, 0x0000010000000000, 0x1200000000100000,
    0x0800008010000024, 0x0802000001000000, 0x0000100000000001, 0x0000000000000000, 0x0000000010000040,
    0x0040002000000000, 0x0020000000010002, 0x0000002000000000, 0x0000000000000000, 0x0000020000000000,
    0x0000000000000002, 0x0000000000000000,
};
static const uint64_t members_iq3_s[64] = {
    0x92050aa5082357a7, 0x0422001022892317, 0x09000aa4112249a3, 0x228005104a052208, 0x0100020904128801,
    0x084000a208450014, 0x0200040002000a40, 0x0000110008450015, 0x040250005205ab17, 0x410005020902114b,
    0x040120090411a401, 0x0104000211820992, 0x000011440a001428, 0x0000020005020902, 0x0000005000910000,
    0x010400022002050a, 0x2980052a058a55ab, 0x0000020412248905, 0x12008802810a0092, 0x004001040a140225,
    0x2400000224090082, 0x0100080180040210, 0x0002200000020085, 0x0000010801400220, 0x020802942a04aa04,
    0x44010001000a102a, 0x0000010014010401, 0x0800208a018a1102, 0x0011040002044208, 0x0800401004200502,
    0x0000000200004000, 0x000000002005000a, 0x0100010204910411, 0x0000220821040a84, 0x010480010802210a,
    0x0000000022050a10, 0x0200000180100005, 0x00040000000200a0, 0x0001000010000800, 0x0000020801002100,
    0x1040049100041104, 0x040000000402042a, 0x0000080041080201, 0x0820021000800184, 0x0000004004010012,
    0x00000a0000400400, 0x0000000400000000, 0x0000000000040014, 0x000100000a002a00, 0x0010000000810001,
    0x0104200410000400, 0x0000000100021001, 0x0004000800200000, 0x0001000010000009, 0x0000000100000020,
    0x0000000000000a00, 0x0004100140050091, 0x0000002800100204, 0x0000020001024112, 0x0000080024000004,
    0x0000010000010822, 0x0000000400040000, 0x0000000002000004, 0x0000000000000001,
};
static const uint64_t members_iq3_xxs[32] = {
    0x10413533600213b7, 0x100004394090b317, 0x0020200960848020, 0x010200d004004000, 0x0000031300187333,
    0x0808110320001133, 0x1008050000100005, 0x0001020000000004, 0x1a00113700021b33, 0x5000005100418393,
    0x4001080200204000, 0x0004008300000000, 0x000c110324100331, 0x0000201020200413, 0x0040020920081000,
    0x0100200002008040, 0x4000000000a0c084, 0x0004000809018100, 0x1002040004100004, 0x0000103400000000,
    0x0040080910010020, 0x0020000220002040, 0x0000100220000a10, 0x0002040000100000, 0x01000100040c0400,
    0x0000900004000080, 0x0020000400040000, 0x0000010200002000, 0x000108000020201e, 0x0100204100240020,
    0x0000040300010100, 0x0000000000001000,
};
/* clang-format on */

enum list { LIST_IQ1, LIST_IQ2_S, LIST_IQ2_XS, LIST_IQ2_XXS, LIST_IQ3_S, LIST_IQ3_XXS, LISTS };
enum { POINTS_MAX = 2048 };

/* Written once under `once`, constant afterwards: four bits for each coordinate of a point. */
static uint32_t points[LISTS][POINTS_MAX];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void) {
    static const struct {
        const uint64_t *members;
        uint32_t n_values, n_coordinates;
        bool even;
    } lists[LISTS] = {
        [LIST_IQ1] = {members_iq1, 3, 8, false},      [LIST_IQ2_S] = {members_iq2_s, 3, 8, true},
        [LIST_IQ2_XS] = {members_iq2_xs, 3, 8, true}, [LIST_IQ2_XXS] = {members_iq2_xxs, 3, 8, true},
        [LIST_IQ3_S] = {members_iq3_s, 8, 4, false},  [LIST_IQ3_XXS] = {members_iq3_xxs, 8, 4, true},
    };
    for (int l = 0; l < LISTS; l++) {
        const uint32_t n = lists[l].n_values == 3 ? 6561 : 4096; /* 3^8, 8^4 */
        for (uint32_t number = 0, bit = 0, found = 0; number < n; number++) {
            uint32_t point = 0, sum = 0, left = number;
            for (uint32_t i = 0; i < lists[l].n_coordinates; i++, left /= lists[l].n_values) {
                point |= left % lists[l].n_values << 4 * i;
                sum += left % lists[l].n_values;
            }
            if (lists[l].even && sum % 2) continue;
            if (lists[l].members[bit / 64] >> bit % 64 & 1) points[l][found++] = point;
            bit++;
        }
    }
}

/* Eight weights: 32 bits of coordinates, and a bit of `signs` for each. */
static void put(uint32_t coordinates, uint32_t signs, int8_t *q) {
    for (int i = 0; i < 8; i++) q[i] = (int8_t)((coordinates >> 4 * i & 7) | (signs >> i & 1) << 3);
}

/* Seven signs and their parity. */
static uint32_t all_signs(uint32_t seven) {
    seven &= 127;
    return seven | (uint32_t)__builtin_parity(seven) << 7;
}

/* The scales of groups 2i and 2i + 1. */
static void put_scales(struct parts *to, int i, uint32_t first, uint32_t second) {
    to->s[2 * i] = (int8_t)(2 * first + 1), to->s[2 * i + 1] = (int8_t)(2 * second + 1);
}

/* 32 weights, i of eight times, of each type. */

static void parts_iq1_s(const uint8_t *p, int i, struct parts *to) {
    const uint32_t h = read_u16(p + 34 + 2 * i);
    put_scales(to, i, h >> 12 & 7, h >> 12 & 7);
    for (int l = 0; l < 4; l++)
        put(points[LIST_IQ1][p[2 + 4 * i + l] | (h >> 3 * l & 7) << 8], h >> 15 ? 255 : 0, to->q + 32 * i + 8 * l);
}

static void parts_iq1_m(const uint8_t *p, int i, struct parts *to) {
    const uint32_t s = read_u16(p + 48 + i / 2 * 2) >> i % 2 * 6;
    put_scales(to, i, s & 7, s >> 3 & 7);
    for (int l = 0; l < 4; l++) {
        const uint32_t h = p[32 + 2 * i + l / 2] >> l % 2 * 4;
        put(points[LIST_IQ1][p[4 * i + l] | (h & 7) << 8], h & 8 ? 255 : 0, to->q + 32 * i + 8 * l);
    }
}

static void parts_iq2_xxs(const uint8_t *p, int i, struct parts *to) {
    const uint8_t *x = p + 2 + 8 * i;
    const uint32_t g = read_u32(x + 4);
    put_scales(to, i, g >> 28, g >> 28);
    for (int l = 0; l < 4; l++) put(points[LIST_IQ2_XXS][x[l]], all_signs(g >> 7 * l), to->q + 32 * i + 8 * l);
}

static void parts_iq2_xs(const uint8_t *p, int i, struct parts *to) {
    put_scales(to, i, p[66 + i] & 15, p[66 + i] >> 4);
    for (int l = 0; l < 4; l++) {
        const uint32_t x = read_u16(p + 2 + 8 * i + 2 * l);
        put(points[LIST_IQ2_XS][x & 511], all_signs(x >> 9), to->q + 32 * i + 8 * l);
    }
}

static void parts_iq2_s(const uint8_t *p, int i, struct parts *to) {
    put_scales(to, i, p[74 + i] & 15, p[74 + i] >> 4);
    for (int l = 0; l < 4; l++) {
        const uint32_t x = p[2 + 4 * i + l] | (uint32_t)(p[66 + i] >> 2 * l & 3) << 8;
        put(points[LIST_IQ2_S][x], p[34 + 4 * i + l], to->q + 32 * i + 8 * l);
    }
}

static void parts_iq3_xxs(const uint8_t *p, int i, struct parts *to) {
    const uint8_t *x = p + 2 + 8 * i;
    const uint32_t g = read_u32(p + 66 + 4 * i);
    put_scales(to, i, g >> 28, g >> 28);
    for (int l = 0; l < 4; l++)
        put(points[LIST_IQ3_XXS][x[2 * l]] | points[LIST_IQ3_XXS][x[2 * l + 1]] << 16, all_signs(g >> 7 * l),
            to->q + 32 * i + 8 * l);
}

static void parts_iq3_s(const uint8_t *p, int i, struct parts *to) {
    const uint8_t *x = p + 2 + 8 * i, s = p[106 + i / 2] >> i % 2 * 4 & 15;
    put_scales(to, i, s, s);
    for (int l = 0; l < 4; l++) {
        const uint32_t h = p[66 + i] >> 2 * l;
        put(points[LIST_IQ3_S][x[2 * l] | (h & 1) << 8] | points[LIST_IQ3_S][x[2 * l + 1] | (h & 2) << 7] << 16,
            p[74 + 4 * i + l], to->q + 32 * i + 8 * l);
    }
}

static float scale_of_iq1_m(const uint8_t *p) {
    uint32_t half = 0;
    for (int i = 0; i < 4; i++) half |= (uint32_t)p[49 + 2 * i] >> 4 << 4 * i;
    return f16_to_f32((uint16_t)half);
}

void lattice_parts(enum tensor_type type, const uint8_t *p, struct parts *to) {
    pthread_once(&once, fill);
    to->d = read_f16(p) / 8;
    if (type == TYPE_IQ1_M) to->d = scale_of_iq1_m(p) / 8;
    if (type == TYPE_IQ3_XXS) to->d = read_f16(p) / 4;
    if (type == TYPE_IQ3_S) to->d = read_f16(p);
    for (int i = 0; i < 8; i++) switch (type) {
        case TYPE_IQ1_S: parts_iq1_s(p, i, to); break;
        case TYPE_IQ1_M: parts_iq1_m(p, i, to); break;
        case TYPE_IQ2_XXS: parts_iq2_xxs(p, i, to); break;
        case TYPE_IQ2_XS: parts_iq2_xs(p, i, to); break;
        case TYPE_IQ2_S: parts_iq2_s(p, i, to); break;
        case TYPE_IQ3_XXS: parts_iq3_xxs(p, i, to); break;
        default: parts_iq3_s(p, i, to); break;
        }
}
