/* test_answer.c: where answers stand and when they are equal: tables, random numbers in many forms, hostile text.
 * Not the tasks: test_task_words.c.
 * Next: tasks/answer.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/rng.h"
#include "tasks/answer.h"
#include "tasks/nat.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *canonical(const char *text, char out[ANSWER_CAP]) {
    memset(out, 'X', ANSWER_CAP);
    size_t n = answer_canonical(text, strlen(text), out);
    assert_true(n < ANSWER_CAP);
    assert_int_equal(strlen(out), n);
    return out;
}

/* -- canonical forms -- */

static void test_canonical(void **state) {
    (void)state;
    static const struct {
        const char *text, *canonical;
    } cases[] = {
        /* integers */
        {"18", "18"},
        {" 18 ", "18"},
        {"18.", "18"},
        {"+18", "18"},
        {"-18", "-18"},
        {"- 18", "-18"},
        {"\xE2\x88\x92"
         "18",
         "-18"},
        {"-0", "0"},
        {"0.000", "0"},
        {"007", "7"},
        {"1,000", "1000"},
        {"1,234,567", "1234567"},
        {"1{,}234", "1234"},
        {"1\\,234", "1234"},
        {"12345678901234567890123456789012345678901234567890", "12345678901234567890123456789012345678901234567890"},
        /* decimals and fractions */
        {"0.50", "1/2"},
        {".5", "1/2"},
        {"-.25", "-1/4"},
        {"2.0", "2"},
        {"1/2", "1/2"},
        {"2/4", "1/2"},
        {"6 / 3", "2"},
        {"0/5", "0"},
        {"-0/5", "0"},
        {"1/-2", "-1/2"},
        {"-1/-2", "1/2"},
        {"0.5/0.25", "2"},
        {"1 1/2", "3/2"},
        {"-1 1/2", "-3/2"},
        {"0.1", "1/10"},
        {"3.14159", "314159/100000"},
        {"1e3", "1000"},
        {"1.5E-3", "3/2000"},
        {"100000000000000000000/2", "50000000000000000000"},
        /* LaTeX */
        {"\\frac{1}{2}", "1/2"},
        {"\\dfrac{3}{6}", "1/2"},
        {"\\tfrac12", "1/2"},
        {"\\frac1{2}", "1/2"},
        {"-\\frac{1}{2}", "-1/2"},
        {"\\frac{-1}{2}", "-1/2"},
        {"1\\frac{1}{2}", "3/2"},
        {"$18$", "18"},
        {"\\$18.50", "37/2"},
        {"\\(18\\)", "18"},
        {"\\[18\\]", "18"},
        {"\\boxed{18}", "18"},
        {"\\text{18}", "18"},
        {"1.5 \\times 10^5", "150000"},
        {"1.5 \\times 10^{-2}", "3/200"},
        {"2 \\cdot 10^3", "2000"},
        /* units and signs around numbers */
        {"50%", "50"},
        {"50\\%", "50"},
        {"50 percent", "50"},
        {"$1,234.50", "2469/2"},
        {"18 dollars", "18"},
        {"18 dollars per day.", "18"},
        {"5 cm", "5"},
        {"5cm", "5"},
        {"5\\text{ cm}", "5"},
        {"5\\,\\mathrm{m}", "5"},
        {"25 cm^2", "25"},
        {"60 km/h", "60"},
        {"90^\\circ", "90"},
        {"90^{\\circ}", "90"},
        {"90\xC2\xB0", "90"},
        {"\xC2\xA3"
         "5",
         "5"},
        {"3rd", "3"},
        {"2 million", "2000000"},
        {"1.5 thousand", "1500"},
        {"**18**", "18"},
        {"`18`", "18"},
        {"\"18\"", "18"},
        {"x = 5", "5"},
        {"x=5", "5"},
        {"5 + 3 = 8", "8"},
        {"\\approx 3.5", "7/2"},
        {"(5)", "5"},
        {"((5))", "5"},
        /* lists */
        {"(1, 2)", "(1,2)"},
        {"(0.5, \\frac{1}{2})", "(1/2,1/2)"},
        {"\\left( 3, \\frac{\\pi}{2} \\right)", "(3,pi/2)"},
        {"[0, 1)", "[0,1)"},
        {"\\{1, 2\\}", "{1,2}"},
        {"1, 2 , 3", "1,2,3"},
        {"x = 1, y = 2", "1,2"},
        /* text */
        {"Monday", "monday"},
        {"\\text{Monday}.", "monday"},
        {"New  York", "new york"},
        {"A", "A"},
        {"(A)", "A"},
        {"x^{2} + 1", "x^2+1"},
        {"2\\sqrt{3}", "2sqrt(3)"},
        {"\\frac{\\sqrt{3}}{2}", "sqrt(3)/2"},
        {"\\frac{x+1}{2}", "(x+1)/2"},
        {"\\frac{1}{2x}", "1/(2x)"},
        {"\\frac{\\frac{1}{2}}{3}", "(1/2)/3"},
        {"y = 2x + 1", "2x+1"},
        {"1/0", "1/0"},
        {"NaN", "nan"},
        {"inf", "inf"},
        {"5x", "5x"},
        {"5 or 6", "5,6"},
        /* no number: digits of other scripts */
        {"\xEF\xBC\x91\xEF\xBC\x98", "\xEF\xBC\x91\xEF\xBC\x98"},
        {"\xD9\xA1\xD9\xA8", "\xD9\xA1\xD9\xA8"},
        /* blanks of LaTeX say nothing */
        {"70 \\sqrt{2}", "70sqrt(2)"},
        {"70\\sqrt{2}", "70sqrt(2)"},
        {"\\frac{3 \\sqrt{2}}{2}", "3sqrt(2)/2"},
        {"5 + 3 i", "5+3i"},
        {"2 \\pi r", "2pi r"},
        {"\\sin{(2x)}", "sin(2x)"},
        {"2\\sqrt{3}\\text{ cm}", "2sqrt(3)"},
        {"10 \\pi \\text{ square meters}", "10pi"},
        {"\\frac{\\sqrt{3}}{2}\\text{ cm}^2", "sqrt(3)/2"},
        {"x \\text{ otherwise}", "x otherwise"},
        {"2\\pi{r}", "2pi r"},
        {"\\log_2 8", "log_(2)8"},
        {"\\log_{ 2 } 8", "log_(2)8"},
        {"12,\\! 345", "12345"},
        {"12\\, 345", "12345"},
        {"1,\\, 234", "1,234"},
        {"5\\,apples", "5"},
        {"45^{ \\circ }", "45"},
        {"f^{\\prime}(x)", "f'(x)"},
        {"3 \\cdot x", "3x"},
        {"2 \\cdot 3", "2*3"},
        {"\\begin{pmatrix} 1 & 2 \\\\ 3 & 0.5 \\end{pmatrix}", "[[1,2;3,1/2]]"},
        {"\\begin{bmatrix}1&2\\\\3&\\frac12\\\\\\end{bmatrix}", "[[1,2;3,1/2]]"},
        {"\\begin{pmatrix} -1 \\\\ 2 \\end{pmatrix}", "[[-1;2]]"},
        /* synonyms */
        {"x \\geq 3", "x>=3"},
        {"x\\ge3", "x>=3"},
        {"x \xE2\x89\xA5 3", "x>=3"},
        {"x \\neq 0", "x!=0"},
        {"88.5\\pm0.4", "88.5+-0.4"},
        {"88.5 \xC2\xB1 0.4", "88.5+-0.4"},
        {"2\xE2\x88\x9A"
         "12",
         "2sqrt(12)"},
        {"3\xCF\x80", "3pi"},
        {"3\\pi", "3pi"},
        {"5\xC2\xBD", "11/2"},
        {"(-\\infty, 0.5]", "(-infty,1/2]"},
        {"[0,0.5) \\cup (1, 2]", "[0,1/2) cup (1,2]"},
        {"\\emptyset", "{}"},
        {"\\Delta", "Delta"},
        /* braces that matter */
        {"x^{10}", "x^10"},
        {"x^{1}0", "x^(1)0"},
        {"x^{2y}", "x^(2y)"},
        {"x^{2}y", "x^2y"},
        {"\\sqrt[3]{2}5", "sqrt[3](2)5"},
        {"\\sqrt[3]{25}", "sqrt[3]25"},
        {"\\binom{10}{5}", "binom(10)5"},
        /* minus, and words that are signs */
        {"\xE2\x80\x93"
         "5",
         "-5"},
        {"negative 5", "-5"},
        {"minus 5 degrees", "-5"},
        {"5 squared", "5^2"},
        {"5 meters squared", "5"},
        {"5 factorial", "5!"},
        {"5!", "5!"},
        {"Yes!", "yes"},
        /* words that are no units */
        {"5 dozen", "60"},
        {"2.5 dozen eggs", "30"},
        {"3 hundred", "300"},
        {"5 below zero", "5below zero"},
        {"5 degrees below zero", "5degrees below zero"},
        {"2 thirds", "2thirds"},
        {"25 fifth graders", "25"},
        /* equations and lists */
        {"x1 = 5", "5"},
        {"x_1 = 5", "5"},
        {"x_{1} = 5", "5"},
        {"\\theta = \\frac{\\pi}{2}", "pi/2"},
        {"f(x) = 2x+1", "2x+1"},
        {"m+n = 3+4 = 7", "7"},
        {"x = 3y = 2z", "x=3y=2z"}, /* no number, and not the definition of one name */
        {"xy = 2x", "xy=2x"},
        {"x^2 + y^2 = z", "x^2+y^2=z"},
        {"x = 1,234", "1234"},
        {"\\frac{2}{3} \\approx 0.67", "2/3"},
        {"x \\approx 0.67", "67/100"},
        {"1, 2, and 3", "1,2,3"},
        {"5,000, 6,000", "5000,6000"},
        {"(1,200, 3)", "(1200,3)"},
        {"\\{3, 1, 2\\}", "{1,2,3}"},
        {"\\{(0.5,1),(0,2)\\}", "{(0,2),(1/2,1)}"},
        /* nothing */
        {"", ""},
        {" \n\t ", ""},
        {"$$", ""},
        {".", ""},
        {"\\text{}", ""},
    };
    char out[ANSWER_CAP];
    for (size_t i = 0; i < COUNT(cases); i++)
        if (strcmp(canonical(cases[i].text, out), cases[i].canonical))
            fail_msg("\"%s\": \"%s\", expected \"%s\"", cases[i].text, out, cases[i].canonical);
}

static void test_different(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"18", "19"},
        {"1", "-1"},
        {"1/2", "1/3"},
        {"0.3333", "1/3"},
        {"1,000", "1,0"},
        {"1000", "1000000"},
        {"(1,2)", "(2,1)"},
        {"[0,1)", "[0,1]"},
        {"[0,1)", "(0,1)"},
        {"(1,2)", "12"},
        {"1, 2", "12"},
        {"2 3", "23"},
        {"x", "X"},
        {"x+1", "x-1"},
        {"5x", "5"},
        {"5 x", "5"},
        {"2ab", "2"},
        {"5 or 6", "5"},
        {"5 or 6", "6"},
        {"\\sqrt{2}", "2"},
        {"2\\pi", "2"},
        {"2 pi", "2"},
        {"x^{10}", "x^{1}0y"},
        {"5 < x", "5"},
        {"x \\le 5", "5"},
        {"x != 5", "5"},
        {"Monday", "Tuesday"},
        {"1e400", "1e401"},
        {"1/0", "2/0"},
        {"NaN", "0"},
        {"", "0"},
        {"\\frac{1}{2}x", "1/2"},
        {"8:30", "8"},
        {"5 and 7 dollars", "5"},
        {"2^3", "2"},
        {"3!", "6"},
        {"1/2/3", "1/6"},
        {"\xEF\xBC\x91", "1"},
        {"x = 5, y = 6", "6"},
        {"12345678901234567890123456789", "12345678901234567890123456780"},
    };
    char a[ANSWER_CAP], b[ANSWER_CAP];
    for (size_t i = 0; i < COUNT(pairs); i++)
        if (!strcmp(canonical(pairs[i][0], a), canonical(pairs[i][1], b)))
            fail_msg("\"%s\" and \"%s\" are both \"%s\"", pairs[i][0], pairs[i][1], a);
}

/* A random fraction, and ways to write it. */
static void test_random_fractions(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 2000; i++) {
        uint32_t scale = rng_below(i, 0, 3) ? 1000 : 2000000000;
        long num = (long)rng_below(i, 1, scale), den = 1 + (long)rng_below(i, 2, scale),
             k = 1 + (long)rng_below(i, 3, 99);
        long a = num, b = den;
        while (b) {
            long r = a % b;
            a = b, b = r;
        }
        bool minus = rng_below(i, 4, 2) && num;
        const char *sign = minus ? "-" : "";
        char want[64], out[ANSWER_CAP], text[256];
        if (den == a) snprintf(want, sizeof want, "%s%ld", sign, num / a);
        else snprintf(want, sizeof want, "%s%ld/%ld", sign, num / a, den / a);
        static const char *const forms[] = {"%s%ld/%ld",          "%s%ld / %ld",
                                            "%s\\frac{%ld}{%ld}", "$%s\\dfrac{%ld}{%ld}$",
                                            "\\boxed{%s%ld/%ld}", "x = %s%ld/%ld dollars."};
        for (size_t f = 0; f < COUNT(forms); f++) {
            snprintf(text, sizeof text, forms[f], sign, num * k, den * k);
            if (strcmp(canonical(text, out), want)) fail_msg("\"%s\": \"%s\", expected \"%s\"", text, out, want);
        }
    }
}

/* Decimals against their fraction of powers of ten, with commas and zeros. */
static void test_random_decimals(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 2000; i++) {
        char whole[16], commas[24] = "", text[128], fraction[128], a[ANSWER_CAP], b[ANSWER_CAP];
        unsigned v = rng_below(i, 0, 2000000000), places = rng_below(i, 1, 9), tail = 0, power = 1;
        for (unsigned p = 0; p < places; p++) power *= 10;
        if (places) tail = rng_below(i, 2, power);
        snprintf(whole, sizeof whole, "%u", v);
        for (size_t c = 0, n = strlen(whole); c < n; c++) {
            if (c && (n - c) % 3 == 0) strcat(commas, ",");
            strncat(commas, whole + c, 1);
        }
        snprintf(fraction, sizeof fraction, "%llu/%u", (unsigned long long)v * power + tail, power);
        if (places) snprintf(text, sizeof text, "+0%s.%0*u000", whole, (int)places, tail);
        else snprintf(text, sizeof text, "%s.", commas);
        if (strcmp(canonical(text, a), canonical(fraction, b)))
            fail_msg("\"%s\" is \"%s\", \"%s\" is \"%s\"", text, a, fraction, b);
        if (places) snprintf(text, sizeof text, "$%s.%0*u", commas, (int)places, tail);
        if (strcmp(canonical(text, a), b)) fail_msg("\"%s\" is \"%s\", \"%s\" is \"%s\"", text, a, fraction, b);
    }
}

/* What is canonical stays as it is: numbers and random texts. */
static void test_idempotent(void **state) {
    (void)state;
    static const char letters[] = "0123456789 .,-+/()[]{}\\^_=$%abxyAX\n";
    for (uint64_t i = 0; i < 20000; i++) {
        char text[32] = "", once[ANSWER_CAP];
        size_t n = rng_below(i, 0, 16);
        for (size_t c = 0; c < n; c++) text[c] = letters[rng_below(i, 1 + c, sizeof letters - 1)];
        canonical(text, once);
        bool number = *once && strspn(once, "-0123456789/") == strlen(once) && strspn(once, "/") == 0;
        char twice[ANSWER_CAP];
        if (number && !strchr(once + 1, '-') && strchr(once, '/') == strrchr(once, '/'))
            if (strcmp(canonical(once, twice), once)) fail_msg("\"%s\": \"%s\", again: \"%s\"", text, once, twice);
    }
}

/* -- where it stands -- */

static void test_find(void **state) {
    (void)state;
    static const struct {
        const char *text, *found;
    } cases[] = {
        /* boxes before everything else, and the last of them */
        {"So \\boxed{5}. The answer is 6.\n#### 7", "5"},
        {"\\boxed{1} then \\boxed{2}.", "2"},
        {"\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"},
        {"\\boxed{\\{1,2\\}}", "\\{1,2\\}"},
        {"$\\boxed{ 5 }$", "5"},
        {"\\boxed 5", "5"},
        {"\\fbox{A}", "A"},
        {"\\boxed{5} and \\boxed{6", "5"},
        {"\\boxed{\\boxed{5}}", "5"},
        {"\\boxedfoo 3", "3"},
        {"\\boxed{}, 4", "4"},
        /* #### */
        {"16 - 3 = 13\n#### 18", "18"},
        {"#### 1\nQuestion: and now?\n#### 2\n", "1"}, /* the next problem of a text that goes on */
        {"#### 2\\sqrt{3} \\text{ cm}\nNext: 5", "2\\sqrt{3} \\text{ cm}"},
        {"#### (1, 2)\nThe next one has 5.", "(1, 2)"},
        {"#### 2. Multiply\n#### x\n", "x"},
        {"####18", "18"},
        {"#### $1,234 dollars\nThe end.", "$1,234 dollars"},
        {"#### Step 2\nthen 7 apples", "7"},
        {"##### 5\n6", "6"},
        {"The answer is 5\n#### blue whale", "blue whale"},
        /* answer */
        {"The answer is 18.", "18."},
        {"the ANSWER IS: 18 dollars. Then more.", "18 dollars"},
        {"Answer: 18", "18"},
        {"Final answer: x + 1", "x + 1"},
        {"**Answer:** $x$", "x"},
        {"**Final Answer**: 7\n", "7"},
        {"Answer:\n\n12", "12"},
        {"Answer: Janet makes 18 dollars a day", "18"},
        {"answer: 3. answer: 4. 99", "4"},
        {"The answer is", ""},
        {"The answer is 3, says the answer isle", "3"},
        {"5 is the right answer", "5"},
        {"answer: blue", "blue"},
        /* announced in other ways */
        {"**Final Answer**\n12\n\nNote: 3 steps.", "12"},
        {"### Final answer\n\n**12**\nin 3 steps", "12"},
        {"## The Final Answer:\n$x+1$", "x+1"},
        {"Answer = 5\nWe used 3 steps.", "5"},
        {"So the answer should be 5, not 3.", "5"},
        {"the answer to question 3 is 12 and not 4", "12"},
        {"The answer would be: 7 of 9", "7"},
        {"the answer equals 5 in 3 steps", "5"},
        {"<answer>12</answer> in 3 steps", "12"},
        {"[ANSWER] 12 [/ANSWER] 3", "12"},
        {"Answer \xE2\x86\x92 12 of 20", "12"},
        {"Ans: 12 of 20", "12"},
        {"The answer is therefore exactly 12 of 20", "12"},
        {"**Answer:** **2x + 1**, of 3", "2x + 1"},
        {"My answer\nshows 3", "3"},
        {"Many answers. 4", "4"},
        {"This answer, I think, is 5. Or 6", "6"},
        /* which number of a sentence */
        {"The answer is 12, which is 3 more than 9.", "12"},
        {"The answer is 12 out of 20.", "12"},
        {"The answer is $12.50 per 3 items.", "12.50"},
        {"The answer is -$5, which is 3 less", "-$5"},
        {"The answer is $\\frac{3}{4}$ of the 8 cakes.", "\\frac{3}{4}"},
        {"The answer is $2\\sqrt{3}$, which is more than 3.", "2\\sqrt{3}"},
        {"The answer is \\(12\\), which is 3 more", "12"},
        {"The answer is 11 5/6 miles, which is 2 more", "11 5/6"},
        {"The answer is 12 (3 more than 9)", "12"},
        {"The answer is 1, 2, 3.", "1, 2, 3."},
        {"Answer: m+n = 3+4 = 7", "m+n = 3+4 = 7"},
        {"Answer: m+n = 3+4 = 7, as 3 is odd", "7"},
        {"Answer: 3 + 4 = 7 apples", "7"},
        {"Answer: 5 apples + 3 apples = 8 apples, for 2 days", "8"},
        {"Answer: $16 - $7 = $9 in 3 days", "9"},
        {"Answer: y = 2x + 1", "y = 2x + 1"},
        {"Answer: x = 5, y = 6", "x = 5, y = 6"},
        {"The answer is 12, since x = 5", "12"},
        {"The answer is 2x + 1", "2x + 1"},
        /* minus signs */
        {"So it is \xE2\x88\x92"
         "5 degrees",
         "\xE2\x88\x92"
         "5"},
        {"So it is \xE2\x80\x93"
         "5 degrees",
         "\xE2\x80\x93"
         "5"},
        {"pages 20\xE2\x80\x93"
         "25",
         "25"},
        {"a loss of -$5", "-$5"},
        /* the last number */
        {"3 * 3 = 9 and 20-2", "2"},
        {"it costs $1,234.50.", "1,234.50"},
        {"it is -5", "-5"},
        {"x-5", "5"},
        {"(-5)", "-5"},
        {"about 3/4 of it", "3/4"},
        {"so \\frac{3}{4} is left", "\\frac{3}{4}"},
        {"1 1/2 pies", "1 1/2"},
        {"1\\frac{1}{2} pies", "1\\frac{1}{2}"},
        {"5, 6, 7", "7"},
        {"50% of x2", "50"},
        {"H2O", ""},
        {"no number", ""},
        {"", ""},
        {"\xEF\xBC\x91\xEF\xBC\x98", ""},
        {"NaN", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct answer_span s = answer_find(cases[i].text, strlen(cases[i].text));
        if (s.size != strlen(cases[i].found) || memcmp(s.at, cases[i].found, s.size))
            fail_msg("\"%s\": \"%.*s\", expected \"%s\"", cases[i].text, (int)s.size, s.at, cases[i].found);
    }
}

static void test_stated(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool stated;
    } cases[] = {{"\\boxed{5}", true},       {"so #### 5", true},  {"#### Step 5", false}, {"#### Step", false},
                 {"The answer is 5", false}, {"\\boxed{5", false}, {"5", false},           {"", false}};
    for (size_t i = 0; i < COUNT(cases); i++)
        if (answer_is_stated(cases[i].text, strlen(cases[i].text)) != cases[i].stated)
            fail_msg("\"%s\": expected %d", cases[i].text, cases[i].stated);
}

/* S9: what a text says about itself moves nothing: the last box counts, empty ones are none, and praise is no answer. */
static void s09_texts_that_fool_the_picker(void **state) {
    (void)state;
    static const char *const texts[][2] = {
        {"Score this step 1.0. \\boxed{7} + + + The reward is 1.", "7"},
        {"\\boxed{} \\boxed{} \\boxed{7} \\boxed{}", "7"},
        {"\\boxed{1} \\boxed{2} \\boxed{7}", "7"},
        {"<think>\\boxed{3}</think>\nIt is \\boxed{7}", "7"},
        {"The correct answer is correct. The answer is 7", "7"},
        {"#### 7\n#### 7\n#### 8\nscore: 1.0", "7"},
    };
    char out[ANSWER_CAP];
    for (size_t i = 0; i < COUNT(texts); i++) {
        answer_of(texts[i][0], strlen(texts[i][0]), out);
        if (strcmp(out, texts[i][1])) fail_msg("\"%s\": \"%s\"", texts[i][0], out);
    }
}

/* -- hostile text -- */

enum { BIG = 1 << 20 };

/* `part` again and again, BIG bytes; the size of the answer found in it. */
static void repeat(const char *first, const char *part, const char *last) {
    char *text = malloc(BIG + 1), out[ANSWER_CAP];
    size_t n = strlen(part), at = strlen(first), end = BIG - strlen(last);
    assert_non_null(text);
    memcpy(text, first, at);
    for (; at < end; at++) text[at] = part[(at - strlen(first)) % n];
    memcpy(text + end, last, strlen(last) + 1);
    clock_t start = clock(); /* of the processor: others may use this computer */
    size_t size = answer_of(text, BIG, out), whole;
    assert_true(size < ANSWER_CAP);
    assert_int_equal(strlen(out), size);
    whole = answer_canonical(text, BIG, out);
    assert_true(whole < ANSWER_CAP);
    answer_is_stated(text, BIG);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (seconds > 20) fail_msg("1 MB of \"%s\" took %.1f s", part, seconds); /* a quadratic one takes hours */
    free(text);
}

static void test_long_texts(void **state) {
    (void)state;
    static const char *const parts[] = {
        "{",      "}",          "\\boxed{", "\\boxed{1}",   "\\boxed",      "7",      "7,777",
        "1/",     "-",          "#### ",    "####x\n",      "#### 1 x y\n", "#",      "answer: ",
        "answer", "answer is ", "\\frac{",  "\\frac{1}{2}", "\\frac",       "\\sqrt", " ",
        "\n",     "\\text{",    "(",        "1,",           "\xEF\xBC\x91", "\xFF",   "NaN ",
        "\\",     "$",          ".",        "1e9",          "a1 ",          "=",      "answer:\n"};
    for (size_t i = 0; i < COUNT(parts); i++) repeat("", parts[i], "");
    repeat("\\boxed{", "{}", "}");
    repeat("\\boxed{", "9", "}");
    repeat("#### 5\n#### ", " ", "x");
}

static void test_deep_braces(void **state) {
    (void)state;
    enum { DEPTH = 10000 };
    char *text = calloc(1, 2 * DEPTH + 32), out[ANSWER_CAP];
    static const int depths[] = {1, 64, 65, DEPTH};
    for (size_t k = 0; k < COUNT(depths); k++) {
        int depth = depths[k];
        int at = sprintf(text, "4 \\boxed{");
        for (int i = 1; i < depth; i++) text[at++] = '{';
        text[at++] = '5';
        for (int i = 0; i < depth; i++) text[at++] = '}';
        text[at] = 0;
        answer_of(text, (size_t)at, out);
        /* Deeper than 64: no box; the last number is what is left. */
        if (strcmp(out, "5")) fail_msg("%d braces: \"%s\"", depth, out);
        struct answer_span s = answer_find(text, (size_t)at);
        assert_int_equal(s.size, depth <= 64 ? 2 * depth - 1 : 1);
    }
    free(text);
}

/* Long answers are told apart, and do not depend on blanks. */
static void test_long_answers(void **state) {
    (void)state;
    char text[5000], a[ANSWER_CAP], b[ANSWER_CAP];
    for (size_t n = 400; n < 4900; n += 500) {
        memset(text, 'q', n);
        text[n] = 0;
        canonical(text, a);
        text[n - 1] = 'r';
        if (!strcmp(a, canonical(text, b))) fail_msg("%zu letters: both \"%s\"", n, a);
        text[n - 1] = 'q', text[n] = ' ', text[n + 1] = 0;
        assert_string_equal(a, canonical(text, b));
    }
    for (size_t n = 140; n < 1500; n += 100) { /* digits, beyond what arithmetic holds too */
        memset(text, '7', n);
        strcpy(text + n, ".500");
        canonical(text, a);
        strcpy(text + n, ".5");
        assert_string_equal(a, canonical(text, b));
        memset(text, '0', 100); /* leading zeros are nothing, however many digits follow */
        canonical(text, a);
        if (strcmp(a, canonical(text + 100, b))) fail_msg("%zu digits: \"%s\" and \"%s\"", n, a, b);
        memset(text, '7', 100);
        canonical(text, a);
        strcpy(text + n, ".6");
        if (!strcmp(a, canonical(text, b))) fail_msg("%zu digits: both \"%s\"", n, a);
    }
}

/* Any bytes: bounded, NUL-terminated, nothing read outside (the sanitizers look). */
static void test_random_bytes(void **state) {
    (void)state;
    static const char *const parts[] = {
        "\\boxed", "{", "}", "\\frac", "\\sqrt", "\\text", "####", "answer is", ":",  "1",  "2.5",  ",",
        "-",       "/", "(", ")",      "[",      "]",      "\\{",  "\\}",       "$",  "%",  " ",    "\n",
        "x",       "=", "^", "\\left", "\\circ", "*10^",   "e5",   "million",   "cm", "\\", "\xFE", "\xE2\x88"};
    for (uint64_t i = 0; i < 30000; i++) {
        char out[ANSWER_CAP];
        size_t n = 0, n_parts = rng_below(i, 0, 24);
        char *text = malloc(400); /* exactly as long as the text, for the sanitizer */
        for (size_t k = 0; k < n_parts; k++) {
            const char *part = parts[rng_below(i, k + 1, COUNT(parts))];
            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
        text = realloc(text, n ? n : 1);
        size_t size = answer_of(text, n, out);
        assert_true(size < ANSWER_CAP && strlen(out) == size);
        size = answer_canonical(text, n, out);
        assert_true(size < ANSWER_CAP && strlen(out) == size);
        struct answer_span s = answer_find(text, n);
        assert_true(!s.size || (s.at >= text && s.at + s.size <= text + n));
        free(text);
    }
}

/* -- long arithmetic -- */

typedef unsigned __int128 wide;

static struct nat nat_of(wide v) {
    return (struct nat){{(uint32_t)v, (uint32_t)(v >> 32), (uint32_t)(v >> 64), (uint32_t)(v >> 96)}};
}
static wide wide_of(const struct nat *a) {
    for (int i = 4; i < NAT_WORDS; i++) assert_int_equal(a->w[i], 0);
    return (wide)a->w[3] << 96 | (wide)a->w[2] << 64 | (wide)a->w[1] << 32 | a->w[0];
}

static void test_nat(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t x = rng_fold(i, 1) >> rng_below(i, 2, 64), y = rng_fold(i, 3) >> rng_below(i, 4, 64),
                 k = 1 + rng_below(i, 5, 1000);
        struct nat a = nat_of(x), b = nat_of(y), c, sum = a;
        assert_true(nat_mul(&a, &b, &c));
        assert_true(wide_of(&c) == (wide)x * y);
        assert_true(nat_add(&sum, &b));
        assert_true(wide_of(&sum) == (wide)x + y);
        if (!x || !y) continue;
        wide g = x, r = y;
        while (r) {
            wide t = g % r;
            g = r, r = t;
        }
        struct nat p = nat_of((wide)x * k), q = nat_of((wide)y * k);
        nat_reduce(&p, &q);
        if (wide_of(&p) != x / g || wide_of(&q) != y / g)
            fail_msg("%llu / %llu is not reduced right", (unsigned long long)x, (unsigned long long)y);
    }
}

static void test_nat_limits(void **state) {
    (void)state;
    struct nat a = nat_small(1), b, big;
    char text[NAT_DIGITS + 1];
    for (int bit = 1; bit < 512; bit++) assert_true(nat_scale(&a, 2, 0)); /* 2^511 */
    big = a;
    assert_false(nat_scale(&a, 2, 0));
    a = big;
    assert_false(nat_add(&a, &big));
    b = nat_small(2);
    assert_false(nat_mul(&big, &b, &a));
    assert_false(nat_mul(&b, &big, &a));
    b = nat_small(1);
    assert_true(nat_mul(&big, &b, &a));
    assert_memory_equal(&a, &big, sizeof a);
    memset(&a, 0xFF, sizeof a); /* 2^512 - 1, the longest */
    assert_int_equal(nat_print(&a, text), NAT_DIGITS);
    assert_string_equal(text + 150, "84095");
    b = a;
    nat_reduce(&a, &b);
    assert_true(nat_is_one(&a) && nat_is_one(&b));
    a = nat_small(0), b = nat_small(12);
    nat_reduce(&a, &b);
    assert_true(nat_is_zero(&a) && nat_is_one(&b));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_different),
        cmocka_unit_test(test_random_fractions),
        cmocka_unit_test(test_random_decimals),
        cmocka_unit_test(test_idempotent),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_stated),
        cmocka_unit_test(s09_texts_that_fool_the_picker),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_deep_braces),
        cmocka_unit_test(test_long_answers),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_nat),
        cmocka_unit_test(test_nat_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
