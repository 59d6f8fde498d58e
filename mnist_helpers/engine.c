/* The numerical engine of the lab in the page: a dense network that learns to read MNIST digits.

One instance of the compiled module holds one network. JavaScript brings images and decides what happens when; every
number is computed here. A caller

    create(hidden_layers, units, activation, last_activation, batch_norm, rows, seed)
        lays out a network 784 → units → … → 10 with fresh weights. Activations: 0 ReLU, 1 leaky ReLU, 2 sigmoid,
        3 tanh. `rows` is the largest number of images handed in at once. Gives 1, or 0 if there is no memory.
    pixels(), labels()
        give the places to which images (784 bytes each, row by row) and their digits (a byte each) are copied.
    accumulate(count, dropout, label_smoothing, rotation, zoom, shift, shear, elastic)
        takes the first `count` images through the network and back and adds to the gradients. A batch may come in
        pieces, except with batch norm, which needs it whole. Gives the sum of the losses; right() how many were right.
    update(learning_rate, weight_decay), update_with_momentum(learning_rate, momentum)
        change the weights by one step of Adam, or of gradient descent with momentum, with the mean gradient over the
        images accumulated since the last step.
    keep_averages(), average(momentum), exchange_averages()
        begin a running average of the trainable parameters (gives 0 if there is no memory for it, else 1), let it
        follow them after an update, and put the averages in the parameters' place; a second exchange undoes the first.
    evaluate(count)
        gives the sum of the losses of `count` images as the network stands; right(), answers(): a byte an image,
        losses(): a `real` an image, and outputs(layer): what each unit of a hidden layer made of each image.
    predict()
        gives the place of 10 probabilities for the first image.
    parameter(layer, kind), gradient(layer, kind)
        give the place of a layer's parameters, 32-bit floats, or of their gradient sums. Layers count from 0, and kind
        is 0 kernel, 1 bias; with batch norm also 2 gamma, 3 beta and, not for gradient, 4 moving mean, 5 moving variance.
    gradient_norm(layer)
        gives the norm of a kernel's mean gradient over the images accumulated since the last step.
    reseed(seed), shuffle(numbers, count), allocate(bytes)
        start the random numbers anew, bring int32 numbers into random order, and reserve memory for them (0: none left).

create, keep_averages and allocate can enlarge the memory, which ends JavaScript's views of it: make them anew
afterwards. Seeds are whole numbers from 0 to 2^32 - 1. The same calls with the same seed give the same numbers; relaxed
SIMD may round differently from machine to machine.

How a matrix lies in memory: in strips of 8 columns. Strip 0 holds columns 0 to 7, row after row, then comes strip 1 with
columns 8 to 15. So the weight from input i to unit j of a layer lies at

    kernel[(j / 8 * inputs + i) * 8 + j % 8]        (whole-number division; inputs filled up to a multiple of 8)

and all that one step of a matrix product reads lies side by side. Columns that only fill up a strip, and the weights
to and from them, are always 0.

Why tiles of 4 rows and 8 columns: their sums are kept in 8 of a processor's 16 vector registers, and each number read
is used 4 or 8 times. Larger tiles spilled out of the registers. Tiles of one row and 40 columns, which could skip every
single 0, took twice as long.

The letters are those of chapter 3: an image is a row x, a dense layer computes z = xW + b, and L is the loss. dz is
short for dL/dz, the gradient of the loss with respect to z. */

#include <stdint.h>

#ifdef REAL // a native build for the tests: double, with the C library's functions
#include <math.h>
#include <stdlib.h>
typedef REAL real;
#else
typedef float real;
#endif

typedef real lanes __attribute__((ext_vector_type(4))); // four numbers that are computed with at once
typedef int32_t wholes __attribute__((ext_vector_type(4)));
typedef uint8_t bytes __attribute__((ext_vector_type(4)));

#define EXPORT __attribute__((visibility("default")))
#define UNROLLED _Pragma("clang loop unroll(full)")

enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, MOST_HIDDEN_LAYERS = 50, MOST_UNITS = 2048 };
enum { LANES = 4, STRIP = 8, TILE = 4 }; // a product is computed in tiles of 4 rows and 8 columns
enum { RELU, LEAKY_RELU, SIGMOID, TANH };
enum { KERNEL, BIAS, GAMMA, BETA, MOVING_MEAN, MOVING_VARIANCE, KINDS };

// As Keras has them.
static const double LEAKY_SLOPE = 0.2, BETA_1 = 0.9, BETA_2 = 0.999, ADAM_EPSILON = 1e-7;
static const double NORM_MOMENTUM = 0.99, NORM_EPSILON = 1e-3;

typedef struct {
    real *values;
    int height; // rows that a strip has room for
} matrix;

typedef struct {
    int inputs, units;
    int activation;
    real *parameters[KINDS]; // null where the layer has none of a kind
    matrix outputs;          // after activation and dropout: the next layer's x
    matrix kept;             // dropout: 0 for an output that is dropped, 1 / (1 - dropout) for one that is kept
    matrix normalised;       // batch norm: (z - mean) / deviation,
    real *deviations;        // and these deviations of the batch
} layer;

static layer layers[MOST_HIDDEN_LAYERS + 1];
static int last;      // the number of the last layer
static int norm;      // whether there is batch norm
static uint8_t *image_bytes, *image_labels, *image_answers;
static real *image_losses;
static matrix images; // x of the first layer: pixels from 0 to 1
static matrix delta;  // the gradient of the loss with respect to what the backward pass has reached
static matrix transposed;
static real *nothing; // a row of zeros

// All trainable parameters lie in one row, and in the same order their gradients, the optimiser's two moments, and,
// if they are kept, their running averages.
static real *parameters, *gradients, *first_moments, *second_moments, *averages;
static int parameter_count;
static int accumulated; // images since the last update
static int number_right;
static int averaged; // updates that the averages have followed
static double power_1, power_2; // BETA_1 and BETA_2 to the power of the number of updates

// ---------------------------------------------------------------------------------------------------------- memory

#ifdef __wasm__
enum { PAGE = 65536 };
extern uint8_t __heap_base; // the linker puts it where free memory begins
static uintptr_t used;

// Memory is only ever taken: the page gives it back by dropping the instance. Fresh memory is 0.
EXPORT void *allocate(uint32_t bytes)
{
    if (!used) used = (uintptr_t)&__heap_base;
    uint64_t start = ((uint64_t)used + 63) / 64 * 64, end = start + bytes;
    uint64_t size = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
    if (end > size && __builtin_wasm_memory_grow(0, (end - size + PAGE - 1) / PAGE) == SIZE_MAX) return 0;
    used = end;
    return (void *)(uintptr_t)start;
}
#else
EXPORT void *allocate(uint32_t bytes)
{
    void *start = aligned_alloc(64, (bytes + 63) / 64 * 64);
    for (uint32_t i = 0; i < bytes; i++) ((uint8_t *)start)[i] = 0;
    return start;
}
#endif

static int no_memory; // whether any part of a network found none

__attribute__((noinline)) static void *reserve(uint64_t number, uint32_t size)
{
    void *start = number * size < INT32_MAX ? allocate(number * size) : 0;
    if (!start) no_memory = 1;
    return start;
}

static int fill_up(int number, int multiple)
{
    return (number + multiple - 1) / multiple * multiple;
}

static matrix new_matrix(int rows, int columns)
{
    return (matrix){reserve((uint64_t)rows * fill_up(columns, STRIP), sizeof(real)), rows};
}

static real *at(matrix m, int row, int strip)
{
    return m.values + (strip * m.height + row) * STRIP;
}

static int strips(int columns)
{
    return fill_up(columns, STRIP) / STRIP;
}

// Four columns of a matrix, or of a row of parameters: half a strip. The next row lies NEXT_ROW further on.
enum { NEXT_ROW = STRIP / LANES };

static int groups(int columns)
{
    return strips(columns) * NEXT_ROW;
}

static lanes *group_of(matrix m, int group)
{
    return (lanes *)at(m, 0, group / NEXT_ROW) + group % NEXT_ROW;
}

// -------------------------------------------------------------------------------------------------- random numbers

static uint64_t state;

// SplitMix64 (Steele, Lea and Flood 2014): a counter whose bits are mixed well.
static uint64_t random_bits(void)
{
    uint64_t bits = state += 0x9E3779B97F4A7C15;
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB;
    return bits ^ bits >> 31;
}

EXPORT void reseed(uint32_t seed)
{
    state = seed;
    state = random_bits();
}

// Evenly from -1 to 1.
static double even(void)
{
    return (double)(random_bits() >> 11) * 0x1p-52 - 1;
}

// Fisher and Yates: each place, from the last on, takes one of the numbers that are not yet placed.
EXPORT void shuffle(int32_t *numbers, int count)
{
    for (int i = count - 1; i > 0; i--) {
        int other = (random_bits() >> 32) * (uint64_t)(i + 1) >> 32;
        int32_t number = numbers[i];
        numbers[i] = numbers[other];
        numbers[other] = number;
    }
}

// ------------------------------------------------------------------------------------------------------- functions

#ifdef REAL
#define EACH_LANE(function, x) ((lanes){function(x[0]), function(x[1]), function(x[2]), function(x[3])})
static lanes exponential(lanes x) { return EACH_LANE(exp, x); }
static lanes hyperbolic_tangent(lanes x) { return EACH_LANE(tanh, x); }
static real logarithm(real x) { return log(x); }
#else
// e^x = 2^n e^r with a whole n and a small r = x - n ln 2; the polynomial is that of Moshier's Cephes library.
static lanes exponential(lanes x)
{
    x = x < -87 ? -87 : x;
    x = x > 88 ? 88 : x;
    const float rounding = 0x1.8p23f; // added, it leaves no bits for a fraction, and n in the lowest ones
    lanes moved = x * 1.44269504f + rounding;
    lanes n = moved - rounding;
    lanes r = x - n * 0.693359375f + n * 2.12194440e-4f; // ln 2 in two parts, the first of them exact
    lanes y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    wholes power = ((wholes)moved << 23) + (127 << 23); // the bits of 2^n
    return (y * r * r + r + 1) * (lanes)power;
}

// 1 - 2 / (e^2x + 1), and near 0, where that would lose digits, a polynomial, again of Cephes.
static lanes hyperbolic_tangent(lanes x)
{
    lanes size = x < 0 ? -x : x, s = x * x;
    lanes far = 1 - 2 / (exponential(2 * size) + 1);
    lanes y = -5.70498872745e-3f;
    y = y * s + 2.06390887954e-2f;
    y = y * s - 5.37397155531e-2f;
    y = y * s + 1.33314422036e-1f;
    y = y * s - 3.33332819422e-1f;
    return size < 0.625f ? x + x * s * y : x < 0 ? -far : far;
}

// ln x = n ln 2 + ln m with m from 2/3 to 4/3, and ln m = 2 artanh t = 2 (t + t³/3 + t⁵/5 + …), t = (m - 1)/(m + 1).
static float logarithm(float x)
{
    union {
        float number;
        int32_t bits;
    } m = {x}, lowest = {2.0f / 3};
    int32_t n = (m.bits - lowest.bits) >> 23;
    m.bits -= n * (1 << 23);
    float t = (m.number - 1) / (m.number + 1), s = t * t;
    float series = 1 + s * (1 / 3.0f + s * (1 / 5.0f + s * (1 / 7.0f + s * (1 / 9.0f))));
    return n * 0.693147181f + 2 * t * series;
}
#endif

static lanes sigmoid(lanes x)
{
    return 1 / (1 + exponential(-x));
}

// Angles up to π: the power series cos x = 1 - x²/2! + x⁴/4! - …, sin x = x - x³/3! + x⁵/5! - …
static void cosine_and_sine(double x, double *cosine, double *sine)
{
    double term = 1;
    *cosine = *sine = 0;
    for (int n = 1; n < 30; n += 2) {
        *cosine += term;
        term *= x / n;
        *sine += term;
        term *= -x / (n + 1);
    }
}

// ------------------------------------------------------------------------------------------------- matrix products

#ifdef __wasm_relaxed_simd__
#define multiply_add(a, b, sum) __builtin_wasm_relaxed_madd_f32x4(a, b, sum)
#else
#define multiply_add(a, b, sum) ((a) * (b) + (sum))
#endif

// Four rows of a matrix, written down without the places at which all four hold 0. Most pixels of an image are black,
// so this saves two thirds of the first layer's work.
static lanes *entries;
static int32_t *places;

static inline int add_entry(lanes values, int place, int number)
{
    entries[number] = values;
    places[number] = place;
    return number + !!__builtin_reduce_or(values != 0);
}

static int gather_rows(matrix a, int first, int columns)
{
    int number = 0;
    for (int k = 0; k < columns; k += LANES) {
        const lanes *row = (const lanes *)(at(a, first, k / STRIP) + k % STRIP);
        // Four columns of four rows, turned.
        lanes low_even = __builtin_shufflevector(row[0], row[2 * NEXT_ROW], 0, 4, 1, 5);
        lanes high_even = __builtin_shufflevector(row[0], row[2 * NEXT_ROW], 2, 6, 3, 7);
        lanes low_odd = __builtin_shufflevector(row[NEXT_ROW], row[3 * NEXT_ROW], 0, 4, 1, 5);
        lanes high_odd = __builtin_shufflevector(row[NEXT_ROW], row[3 * NEXT_ROW], 2, 6, 3, 7);
        number = add_entry(__builtin_shufflevector(low_even, low_odd, 0, 4, 1, 5), k, number);
        number = add_entry(__builtin_shufflevector(low_even, low_odd, 2, 6, 3, 7), k + 1, number);
        number = add_entry(__builtin_shufflevector(high_even, high_odd, 0, 4, 1, 5), k + 2, number);
        number = add_entry(__builtin_shufflevector(high_even, high_odd, 2, 6, 3, 7), k + 3, number);
    }
    return number;
}

static int gather_columns(matrix a, int first, int rows)
{
    int number = 0;
    const lanes *row = group_of(a, first / LANES);
    for (int k = 0; k < rows; k++, row += NEXT_ROW) number = add_entry(*row, k, number);
    return number;
}

// A tile of the product of the gathered rows and a strip; the sums begin with what lies at `start`.
static void multiply_tile(int number, const real *strip, const real *start, int start_step, real *result)
{
    const lanes *entry = entries;
    const int32_t *place = places;
    lanes left[TILE], right[TILE];
    UNROLLED for (int i = 0; i < TILE; i++) {
        const lanes *row = (const lanes *)(start + i * start_step);
        left[i] = row[0];
        right[i] = row[1];
    }
    for (int n = 0; n < number; n++, entry++, place++) {
        const lanes *row = (const lanes *)(strip + *place * STRIP);
        UNROLLED for (int i = 0; i < TILE; i++) {
            lanes a = (*entry)[i];
            left[i] = multiply_add(a, row[0], left[i]);
            right[i] = multiply_add(a, row[1], right[i]);
        }
    }
    UNROLLED for (int i = 0; i < TILE; i++) {
        lanes *row = (lanes *)(result + i * STRIP);
        row[0] = left[i];
        row[1] = right[i];
    }
}

// c = ab + start, where start is one row, added to each; without one, c = c + ab. With `turned`, a is aᵀ. Without it, c
// may lie where a does: rows are gathered before the same rows of c are written.
static void multiply(matrix a, int turned, int rows, int inner, matrix b, int columns, const real *start, matrix c)
{
    for (int first = 0; first < rows; first += TILE) {
        int number = turned ? gather_columns(a, first, inner) : gather_rows(a, first, inner);
        for (int strip = 0; strip < strips(columns); strip++) {
            real *result = at(c, first, strip);
            if (start)
                multiply_tile(number, at(b, 0, strip), start + strip * STRIP, 0, result);
            else
                multiply_tile(number, at(b, 0, strip), result, STRIP, result);
        }
    }
}

// --------------------------------------------------------------------------------------------------------- network

// Puts a layer's parameters of one kind at `values`; gives where the next kind begins.
static real *place_parameters(layer *l, int kind, real *values)
{
    l->parameters[kind] = values;
    int columns = fill_up(l->units, STRIP);
    return values + (kind == KERNEL ? fill_up(l->inputs, STRIP) * columns : columns);
}

// Glorot and Bengio 2010: evenly from -limit to limit, so that outputs spread as widely as inputs.
static void draw_kernel(layer *l)
{
    double limit = __builtin_sqrt(6.0 / (l->inputs + l->units));
    matrix kernel = {l->parameters[KERNEL], fill_up(l->inputs, STRIP)};
    for (int i = 0; i < l->inputs; i++)
        for (int j = 0; j < l->units; j++) at(kernel, i, j / STRIP)[j % STRIP] = limit * even();
}

EXPORT int create(int hidden_layers, int units, int activation, int last_activation, int batch_norm, int rows,
                  uint32_t seed)
{
    if (hidden_layers < 0 || hidden_layers > MOST_HIDDEN_LAYERS || units < 1 || units > MOST_UNITS || rows < 1)
        return 0;
    int height = fill_up(rows, TILE), widest = fill_up(units > CLASSES ? units : CLASSES, STRIP);
    last = hidden_layers, norm = batch_norm;
    accumulated = number_right = averaged = no_memory = 0;
    averages = 0;
    power_1 = power_2 = 1;

    image_bytes = reserve((uint64_t)rows * PIXELS, 1);
    image_labels = reserve(rows, 1);
    image_answers = reserve(rows, 1);
    image_losses = reserve(rows, sizeof(real));
    images = new_matrix(height, PIXELS);
    delta = new_matrix(height, widest);
    transposed = new_matrix(widest, widest);
    nothing = reserve(widest, sizeof(real));
    int most_places = height > PIXELS ? height : PIXELS;
    entries = reserve(most_places, sizeof(lanes));
    places = reserve(most_places, sizeof(int32_t));
    parameter_count = 0;
    for (int n = 0; n <= last; n++) {
        layer *l = &layers[n];
        *l = (layer){.inputs = n ? units : PIXELS, .units = n < last ? units : CLASSES};
        int columns = fill_up(l->units, STRIP);
        parameter_count += (fill_up(l->inputs, STRIP) + 1 + (norm && n < last ? 2 : 0)) * columns;
        l->outputs = new_matrix(height, l->units);
        if (n == last) break;
        l->activation = n < last - 1 ? activation : last_activation;
        l->kept = new_matrix(height, l->units);
        if (!norm) continue;
        l->normalised = new_matrix(height, l->units);
        l->deviations = reserve(columns, sizeof(real));
        l->parameters[MOVING_MEAN] = reserve(columns, sizeof(real));
        l->parameters[MOVING_VARIANCE] = reserve(columns, sizeof(real));
    }
    parameters = reserve(parameter_count, sizeof(real));
    gradients = reserve(parameter_count, sizeof(real));
    first_moments = reserve(parameter_count, sizeof(real));
    second_moments = reserve(parameter_count, sizeof(real));
    if (no_memory) return 0;

    reseed(seed);
    real *values = parameters;
    for (int n = 0; n <= last; n++) {
        layer *l = &layers[n];
        values = place_parameters(l, KERNEL, values);
        values = place_parameters(l, BIAS, values);
        draw_kernel(l);
        if (!norm || n == last) continue;
        values = place_parameters(l, GAMMA, values);
        values = place_parameters(l, BETA, values);
        for (int j = 0; j < l->units; j++) l->parameters[GAMMA][j] = l->parameters[MOVING_VARIANCE][j] = 1;
    }
    return 1;
}

static real *gradient_of(layer *l, int kind)
{
    return l->parameters[kind] + (gradients - parameters);
}

EXPORT uint8_t *pixels(void) { return image_bytes; }
EXPORT uint8_t *labels(void) { return image_labels; }
EXPORT uint8_t *answers(void) { return image_answers; }
EXPORT real *losses(void) { return image_losses; }
EXPORT real *outputs(int layer) { return layers[layer].outputs.values; }
EXPORT int right(void) { return number_right; }
EXPORT real *parameter(int layer, int kind) { return layers[layer].parameters[kind]; }
EXPORT real *gradient(int layer, int kind) { return gradient_of(&layers[layer], kind); }

// ---------------------------------------------------------------------------------------------------------- images

static const real BRIGHTEST = 255;

static void copy_images(int count)
{
    for (int group = 0; group < groups(PIXELS); group++) {
        lanes *to = group_of(images, group);
        for (int i = 0; i < count; i++) {
            const bytes *from = (const bytes *)(image_bytes + i * PIXELS) + group;
            to[i * NEXT_ROW] = __builtin_convertvector(*from, lanes) * (1 / BRIGHTEST);
        }
    }
}

static lanes clip(lanes place)
{
    const real highest = SIDE + 1 - (real)1e-3;
    place = place < 0 ? 0 : place;
    return place > highest ? highest : place;
}

// Simard, Steinkraus and Platt 2003: a field of displacements is noise that a Gaussian of this many pixels smooths.
enum { GROUPS_OF_A_ROW = SIDE / LANES };
static const real SMOOTHNESS = 4;
static lanes field[2][PIXELS / LANES]; // of rows and of columns

// Each row of the matrix that smooths has the length 1, which keeps the variance of independent noise.
static void fill_smoothing(real smoothing[SIDE][SIDE])
{
    for (int i = 0; i < SIDE; i++) {
        real squares = 0;
        for (int j = 0; j < SIDE; j++) {
            real distance = (i - j) / SMOOTHNESS;
            smoothing[i][j] = exponential((lanes){} - distance * distance / 2)[0];
            squares += smoothing[i][j] * smoothing[i][j];
        }
        for (int j = 0; j < SIDE; j++) smoothing[i][j] /= __builtin_sqrt(squares);
    }
}

// The columns of a square are smoothed, and it is turned, so that a second time smooths what were its rows.
static void smooth(const lanes *from, real *to)
{
    static real smoothing[SIDE][SIDE];
    if (!smoothing[0][0]) fill_smoothing(smoothing);
    for (int i = 0; i < SIDE; i++)
        for (int group = 0; group < GROUPS_OF_A_ROW; group++) {
            lanes sum = 0;
            for (int k = 0; k < SIDE; k++) sum += smoothing[i][k] * from[k * GROUPS_OF_A_ROW + group];
            UNROLLED for (int j = 0; j < LANES; j++) to[(group * LANES + j) * SIDE + i] = sum[j];
        }
}

// Noise from -1 to 1 has the variance 1/3. 64 random bits make four numbers.
static void draw_field(double elastic)
{
    static lanes noise[PIXELS / LANES], turned[PIXELS / LANES];
    const real size = elastic * __builtin_sqrt(3) * 0x1p-15;
    for (int axis = 0; axis < 2; axis++) {
        for (int group = 0; group < PIXELS / LANES; group++) {
            uint64_t bits = random_bits();
            UNROLLED for (int j = 0; j < LANES; j++)
                noise[group][j] = ((int)(bits >> 16 * j & 0xFFFF) - 0x7FFF.8p0) * size;
        }
        smooth(noise, (real *)turned);
        smooth(turned, (real *)field[axis]);
    }
}

// From each place in the new image back to its place in the old one, and there a mean of the four pixels around it.
static void distort_images(int count, double rotation, double zoom, double shift, double shear, double elastic)
{
    enum { BORDERED = SIDE + 2 }; // a border of black pixels stands for all that lies outside
    static real old[BORDERED * BORDERED];
    const real centre = (SIDE - 1) / (real)2;
    for (int i = 0; i < count; i++) {
        for (int pixel = 0; pixel < PIXELS; pixel++)
            old[(pixel / SIDE + 1) * BORDERED + pixel % SIDE + 1] = image_bytes[i * PIXELS + pixel] * (1 / BRIGHTEST);

        double cosine, sine;
        cosine_and_sine(rotation * even() * (3.14159265358979323846 / 180), &cosine, &sine);
        double height = 1 + zoom * even(), width = 1 + zoom * even();
        real down = centre + 1 + shift * even(), along = centre + 1 + shift * even();
        real down_y = cosine / height, down_x = -sine / height, along_x = cosine / width;
        real along_y = sine / width + shear * even();
        if (elastic) draw_field(elastic);
        for (int group = 0; group < PIXELS / LANES; group++) {
            real y = group * LANES / SIDE - centre;
            lanes x = (lanes){0, 1, 2, 3} + (group * LANES % SIDE - centre);
            lanes row = down_y * y + down_x * x + down, column = along_y * y + along_x * x + along;
            if (elastic) row += field[0][group], column += field[1][group];
            row = clip(row), column = clip(column);
            wholes whole_row = __builtin_convertvector(row, wholes);
            wholes whole_column = __builtin_convertvector(column, wholes);
            wholes corner = whole_row * BORDERED + whole_column;
            lanes corners[4];
            UNROLLED for (int j = 0; j < LANES; j++) {
                const real *upper = old + corner[j], *lower = upper + BORDERED;
                corners[0][j] = upper[0], corners[1][j] = upper[1];
                corners[2][j] = lower[0], corners[3][j] = lower[1];
            }
            lanes right = column - __builtin_convertvector(whole_column, lanes);
            lanes above = corners[0] + right * (corners[1] - corners[0]);
            lanes below = corners[2] + right * (corners[3] - corners[2]);
            lanes lower = row - __builtin_convertvector(whole_row, lanes);
            group_of(images, group)[i * NEXT_ROW] = above + lower * (below - above);
        }
    }
}

// --------------------------------------------------------------------------------------------------------- forward

// From z to a = f(z), in the same place. Above 0 both kinds of ReLU are z; below, leaky ReLU is a fifth of it.
static void activate(layer *l, int count)
{
    real slope = l->activation == LEAKY_RELU ? LEAKY_SLOPE : 0;
    for (int strip = 0; strip < strips(l->units); strip++) {
        lanes *z = (lanes *)at(l->outputs, 0, strip);
        for (int i = 0; i < count * NEXT_ROW; i++)
            z[i] = l->activation == SIGMOID ? sigmoid(z[i])
                   : l->activation == TANH  ? hyperbolic_tangent(z[i])
                                            : (z[i] > 0 ? z[i] : slope * z[i]);
    }
}

// Ioffe and Szegedy 2015: each unit's z gets the mean 0 and the deviation 1 over the batch, then gamma · z + beta.
// Without training the moving averages of the batches' means and variances stand for the batch's own.
static void normalise(layer *l, int count, int training)
{
    for (int group = 0; group < groups(l->units); group++) {
        lanes *own[KINDS];
        for (int kind = GAMMA; kind < KINDS; kind++) own[kind] = (lanes *)l->parameters[kind] + group;
        lanes *z = group_of(l->outputs, group), *normalised = group_of(l->normalised, group);
        lanes mean = *own[MOVING_MEAN], variance = *own[MOVING_VARIANCE];
        if (training) {
            mean = variance = 0;
            for (int i = 0; i < count * NEXT_ROW; i += NEXT_ROW) mean += z[i];
            mean /= count;
            for (int i = 0; i < count * NEXT_ROW; i += NEXT_ROW) variance += (z[i] - mean) * (z[i] - mean);
            variance /= count;
            *own[MOVING_MEAN] += (real)(1 - NORM_MOMENTUM) * (mean - *own[MOVING_MEAN]);
            *own[MOVING_VARIANCE] += (real)(1 - NORM_MOMENTUM) * (variance - *own[MOVING_VARIANCE]);
        }
        lanes deviation = __builtin_elementwise_sqrt(variance + (real)NORM_EPSILON);
        ((lanes *)l->deviations)[group] = deviation;
        for (int i = 0; i < count * NEXT_ROW; i += NEXT_ROW) {
            normalised[i] = (z[i] - mean) / deviation;
            z[i] = *own[GAMMA] * normalised[i] + *own[BETA];
        }
    }
}

// Srivastava et al. 2014: each output becomes 0 with the probability `dropout`, the others grow to keep the mean.
// 64 random bits decide for four outputs.
static void drop(layer *l, int count, double dropout)
{
    uint32_t limit = dropout * 0x1p16 + 0.5;
    real growth = 1 / (1 - dropout);
    for (int strip = 0; strip < strips(l->units); strip++) {
        lanes *outputs = (lanes *)at(l->outputs, 0, strip), *kept = (lanes *)at(l->kept, 0, strip);
        for (int i = 0; i < count * NEXT_ROW; i++) {
            uint64_t bits = random_bits();
            UNROLLED for (int j = 0; j < LANES; j++) kept[i][j] = (bits >> 16 * j & 0xFFFF) < limit ? 0 : growth;
            outputs[i] *= kept[i];
        }
    }
}

// The sigmoid of 0 is not 0, but columns that only fill up a strip have to be.
static void clear_filling(layer *l, int count)
{
    for (int i = 0; i < count; i++)
        for (int j = l->units; j < fill_up(l->units, STRIP); j++) at(l->outputs, i, j / STRIP)[j % STRIP] = 0;
}

// Images to logits, layer by layer: z = xW + b, then batch norm, activation and dropout.
static void forward(int count, int training, double dropout)
{
    matrix x = images;
    for (int n = 0; n <= last; n++) {
        layer *l = &layers[n];
        matrix kernel = {l->parameters[KERNEL], fill_up(l->inputs, STRIP)};
        multiply(x, 0, count, l->inputs, kernel, l->units, l->parameters[BIAS], l->outputs);
        x = l->outputs;
        if (n == last) break;
        if (norm) normalise(l, count, training);
        activate(l, count);
        if (dropout > 0) drop(l, count, dropout);
        if (l->activation == SIGMOID) clear_filling(l, count);
    }
}

static real *logit(int image, int digit)
{
    return at(layers[last].outputs, image, digit / STRIP) + digit % STRIP;
}

// Softmax turns an image's logits z into probabilities p = e^z / Σ e^z. The highest logit is taken away from all of
// them, which changes nothing but keeps e^z in range. Gives the class with the highest one, and the logarithm of Σ e^z.
enum { FILLED_CLASSES = 12 };

static int softmax(int image, real *p, real *log_sum)
{
    lanes powers[FILLED_CLASSES / LANES];
    real sum = 0;
    int answer = 0;
    for (int j = 0; j < CLASSES; j++) {
        p[j] = *logit(image, j);
        if (p[j] > p[answer]) answer = j;
    }
    for (int group = 0; group < FILLED_CLASSES / LANES; group++)
        powers[group] = exponential(group_of(layers[last].outputs, group)[image * NEXT_ROW] - p[answer]);
    *log_sum = p[answer];
    for (int j = 0; j < CLASSES; j++) sum += p[j] = powers[j / LANES][j % LANES];
    for (int j = 0; j < CLASSES; j++) p[j] /= sum;
    *log_sum += logarithm(sum);
    return answer;
}

// The cross-entropy -ln p of each image's true digit, summed; its gradient with respect to the logits is p minus 1 for
// the true digit, minus 0 for the others. Label smoothing (Szegedy et al. 2016) spreads a share of that 1 evenly over all
// digits.
static double judge(int count, double label_smoothing)
{
    const real left = 1 - label_smoothing, spread = label_smoothing / CLASSES;
    double sum = 0;
    number_right = 0;
    for (int i = 0; i < count; i++) {
        real p[2 * STRIP] = {0}, log_sum;
        int label = image_labels[i];
        image_answers[i] = softmax(i, p, &log_sum);
        number_right += image_answers[i] == label;
        image_losses[i] = log_sum - left * *logit(i, label);
        for (int j = 0; j < CLASSES; j++) image_losses[i] -= spread * *logit(i, j), p[j] -= spread;
        sum += image_losses[i];
        p[label] -= left;
        for (int j = 0; j < 2 * STRIP; j++) at(delta, i, j / STRIP)[j % STRIP] = p[j];
    }
    return sum;
}

// -------------------------------------------------------------------------------------------------------- backward

// From dL/da to dL/dz = f'(z) dL/da, with the derivative f' written in terms of a = f(z).
static void activate_backward(layer *l, int count, double dropout)
{
    real slope = l->activation == LEAKY_RELU ? LEAKY_SLOPE : 0, kept_share = 1 - dropout;
    for (int strip = 0; strip < strips(l->units); strip++) {
        lanes *d = (lanes *)at(delta, 0, strip), *kept = (lanes *)at(l->kept, 0, strip);
        const lanes *outputs = (const lanes *)at(l->outputs, 0, strip);
        for (int i = 0; i < count * NEXT_ROW; i++) {
            lanes a = outputs[i];
            if (dropout > 0) {
                d[i] *= kept[i];
                a *= kept_share;
            }
            d[i] *= l->activation == SIGMOID ? a * (1 - a) : l->activation == TANH ? 1 - a * a : (a > 0 ? 1 : slope);
        }
    }
}

// Mean and deviation come from the batch too, so what moves them is taken away; with n for the normalised z,
// dL/dz = gamma / deviation · (dL/dy - mean of dL/dy - n · mean of n dL/dy).
static void normalise_backward(layer *l, int count)
{
    for (int group = 0; group < groups(l->units); group++) {
        lanes *d = group_of(delta, group), *normalised = group_of(l->normalised, group);
        lanes sum = 0, product = 0;
        for (int i = 0; i < count * NEXT_ROW; i += NEXT_ROW) {
            sum += d[i];
            product += d[i] * normalised[i];
        }
        ((lanes *)gradient_of(l, BETA))[group] += sum;
        ((lanes *)gradient_of(l, GAMMA))[group] += product;
        lanes factor = ((lanes *)l->parameters[GAMMA])[group] / ((lanes *)l->deviations)[group];
        sum /= count;
        product /= count;
        for (int i = 0; i < count * NEXT_ROW; i += NEXT_ROW) d[i] = factor * (d[i] - sum - normalised[i] * product);
    }
}

// Wᵀ of a layer.
static matrix transpose(layer *l)
{
    int height = fill_up(l->inputs, STRIP);
    matrix kernel = {l->parameters[KERNEL], height};
    transposed.height = fill_up(l->units, STRIP);
    for (int strip = 0; strip < strips(l->units); strip++)
        for (int i = 0; i < height; i++)
            for (int j = 0; j < STRIP; j++)
                at(transposed, strip * STRIP + j, i / STRIP)[i % STRIP] = at(kernel, i, strip)[j];
    return transposed;
}

// From the logits back to the images: dL/dW = xᵀ dL/dz, dL/db = dL/dz summed over the images, and, for the layer below,
// dL/dx = dL/dz Wᵀ.
static void backward(int count, double dropout)
{
    for (int n = last; n >= 0; n--) {
        layer *l = &layers[n];
        if (n < last) {
            activate_backward(l, count, dropout);
            if (norm) normalise_backward(l, count);
        }
        matrix below = n ? layers[n - 1].outputs : images;
        matrix kernel_gradient = {gradient_of(l, KERNEL), fill_up(l->inputs, STRIP)};
        multiply(below, 1, l->inputs, count, delta, l->units, 0, kernel_gradient);
        for (int group = 0; group < groups(l->units); group++) {
            const lanes *d = group_of(delta, group);
            lanes sum = 0;
            for (int i = 0; i < count * NEXT_ROW; i += NEXT_ROW) sum += d[i];
            ((lanes *)gradient_of(l, BIAS))[group] += sum;
        }
        if (!n) break;
        multiply(delta, 0, count, l->units, transpose(l), l->inputs, nothing, delta);
    }
}

// ----------------------------------------------------------------------------------------------------------- steps

EXPORT double accumulate(int count, double dropout, double label_smoothing, double rotation, double zoom, double shift,
                         double shear, double elastic)
{
    if (rotation || zoom || shift || shear || elastic)
        distort_images(count, rotation, zoom, shift, shear, elastic);
    else
        copy_images(count);
    forward(count, 1, dropout);
    double loss = judge(count, label_smoothing);
    backward(count, dropout);
    accumulated += count;
    return loss;
}

EXPORT double evaluate(int count)
{
    copy_images(count);
    forward(count, 0, 0);
    return judge(count, 0);
}

EXPORT real *predict(void)
{
    static real p[CLASSES];
    real log_sum;
    copy_images(1);
    forward(1, 0, 0);
    softmax(0, p, &log_sum);
    return p;
}

// In double precision, because the squares of a gradient that vanishes are too small for single.
EXPORT double gradient_norm(int number)
{
    typedef double doubles __attribute__((ext_vector_type(LANES)));
    layer *l = &layers[number];
    const lanes *gradient = (const lanes *)gradient_of(l, KERNEL);
    doubles squares = 0;
    for (int i = 0; i < fill_up(l->inputs, STRIP) * groups(l->units); i++) {
        doubles g = __builtin_convertvector(gradient[i], doubles);
        squares += g * g;
    }
    return __builtin_sqrt(squares[0] + squares[1] + squares[2] + squares[3]) / accumulated;
}

// Kingma and Ba 2015: each step goes along a moving mean of the gradients, divided by the root of that of their squares.
// Before that, weight decay (Loshchilov and Hutter 2019) takes a share of each parameter away.
EXPORT void update(double learning_rate, double weight_decay)
{
    power_1 *= BETA_1;
    power_2 *= BETA_2;
    real step_size = learning_rate * __builtin_sqrt(1 - power_2) / (1 - power_1);
    real left = 1 - learning_rate * weight_decay, share = 1.0 / accumulated;
    lanes *p = (lanes *)parameters, *gradient = (lanes *)gradients;
    lanes *first = (lanes *)first_moments, *second = (lanes *)second_moments;
    for (int i = 0; i < parameter_count / LANES; i++) {
        lanes g = gradient[i] * share;
        gradient[i] = 0;
        first[i] += (real)(1 - BETA_1) * (g - first[i]);
        second[i] += (real)(1 - BETA_2) * (g * g - second[i]);
        p[i] = p[i] * left - step_size * first[i] / (__builtin_elementwise_sqrt(second[i]) + (real)ADAM_EPSILON);
    }
    accumulated = 0;
}

// The velocity is kept where Adam has its first moment.
EXPORT void update_with_momentum(double learning_rate, double momentum)
{
    real rate = learning_rate, rest = momentum, share = 1.0 / accumulated;
    lanes *p = (lanes *)parameters, *gradient = (lanes *)gradients, *velocity = (lanes *)first_moments;
    for (int i = 0; i < parameter_count / LANES; i++) {
        velocity[i] = rest * velocity[i] - rate * (gradient[i] * share);
        gradient[i] = 0;
        p[i] += velocity[i];
    }
    accumulated = 0;
}

EXPORT int keep_averages(void)
{
    averages = allocate(parameter_count * sizeof(real));
    if (!averages) return 0;
    for (int i = 0; i < parameter_count; i++) averages[i] = parameters[i];
    return 1;
}

// Polyak and Juditsky 1992; after the first update the average is what that update gave, as Keras has it.
EXPORT void average(double momentum)
{
    real share = averaged++ ? 1 - momentum : 1;
    for (int i = 0; i < parameter_count; i++) averages[i] += share * (parameters[i] - averages[i]);
}

EXPORT void exchange_averages(void)
{
    for (int i = 0; i < parameter_count; i++) {
        real value = parameters[i];
        parameters[i] = averages[i];
        averages[i] = value;
    }
}
