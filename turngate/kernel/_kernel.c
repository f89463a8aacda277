/* What costs most per audio frame, in C: resampling, energies, and reading the audio in an event of the upstream.
 *
 * docs/adr/0017-compiled-kernel.md says why these, and what each costs without. Where this was not built,
 * turngate/kernel/stand_ins.py and numpy_resampler.py take its place. Both are run by the same tests, and this file also
 * by tests/fuzz/kernel.py with AddressSanitizer.
 *
 * Rules: a length is checked before the loop that relies on it; sizes are Py_ssize_t and are bounded before they are
 * multiplied; input is read through the buffer protocol, and its samples with memcpy, since they may lie at any
 * address. The GIL is kept: a call takes a microsecond, less than giving it up and getting it back under load.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "samples are read as they are on the wire, little-endian"
#endif

/* --- resampling */

#define RATIO_MAX 1024
#define TAPS_MAX 512
#define DELAY_MAX 65536
/* Taps per step of the inner loop; the number of taps is a multiple of it. */
#define STEP 8
/* Input samples that are converted at a time. */
#define PIECE 1024
/* Output samples that are summed at a time. */
#define BLOCK 128

typedef float lanes __attribute__((vector_size(16), aligned(4), may_alias));

typedef struct {
    PyObject_VAR_HEAD
    /* The coefficients: `taps` floats for each of `up` phases. */
    PyObject *bank;
    Py_ssize_t up, down, taps;
    /* When the next output sample is due, in input samples from here, times `up`; at least 1. */
    Py_ssize_t due;
    /* Output samples still to skip, and those that were skipped. */
    Py_ssize_t skip, skipped;
    /* The last taps - 1 input samples. */
    int16_t history[];
} Resampler;

/* Of an output sample: the input sample behind its window, and how much later that is than it is due, times `up`. */
typedef struct {
    Py_ssize_t end, phase;
} Place;

static PyObject *resampler_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    static char *keywords[] = {"bank", "up", "down", "delay", NULL};
    PyObject *bank;
    Py_ssize_t up, down, delay;
    if (!PyArg_ParseTupleAndKeywords(args, names, "Snnn", keywords, &bank, &up, &down, &delay))
        return NULL;
    if (up < 1 || up > RATIO_MAX || down < 1 || down > RATIO_MAX || delay < 0 || delay > DELAY_MAX) {
        PyErr_SetString(PyExc_ValueError, "the ratio or the delay is out of range");
        return NULL;
    }
    Py_ssize_t phase = up * (Py_ssize_t)sizeof(float), taps = PyBytes_GET_SIZE(bank) / phase;
    if (taps < STEP || taps > TAPS_MAX || taps % STEP || taps * phase != PyBytes_GET_SIZE(bank)) {
        PyErr_SetString(PyExc_ValueError, "the bank must have a multiple of 8 floats for each phase");
        return NULL;
    }
    /* Filled with zeros: the history is silence. */
    Resampler *self = (Resampler *)type->tp_alloc(type, taps - 1);
    if (self == NULL)
        return NULL;
    Py_INCREF(bank);
    self->bank = bank;
    self->up = up;
    self->down = down;
    self->taps = taps;
    self->due = down;
    self->skip = delay;
    return (PyObject *)self;
}

static void resampler_dealloc(Resampler *self)
{
    Py_XDECREF(self->bank);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Compute up to BLOCK output samples from `place` on, as far as their windows end within the first `count` of the
 * `samples`; before these lies the history. Returns how many. */
static Py_ssize_t sum_up(const Resampler *self, const float *samples, Py_ssize_t count, Place *place, float *sums)
{
    const float *bank = (const float *)PyBytes_AS_STRING(self->bank);
    const Py_ssize_t taps = self->taps, up = self->up, steps = self->down / up, rest = self->down % up;
    Py_ssize_t end = place->end, phase = place->phase, made = 0;
    float parts[4 * BLOCK];
    for (; end <= count && made < BLOCK; made++) {
        const lanes *w = (const lanes *)(bank + phase * taps), *s = (const lanes *)(samples + end - taps);
        lanes even = w[0] * s[0], odd = w[1] * s[1];
        for (Py_ssize_t at = 2; at < taps / 4; at += 2) {
            even += w[at] * s[at];
            odd += w[at + 1] * s[at + 1];
        }
        even += odd;
        memcpy(parts + 4 * made, &even, sizeof even);
        end += steps;
        phase -= rest;
        if (phase < 0) {
            phase += up;
            end++;
        }
    }
    /* Apart from the loop above, since several are added at once here. */
    for (Py_ssize_t at = 0; at < made; at++)
        sums[at] = (parts[4 * at] + parts[4 * at + 2]) + (parts[4 * at + 1] + parts[4 * at + 3]);
    place->end = end;
    place->phase = phase;
    return made;
}

/* Round to 16 bits, half to even: a sum this large has no bits for fractions. */
static void round_to(int16_t *out, const float *sums, Py_ssize_t count)
{
    for (Py_ssize_t at = 0; at < count; at++) {
        float value = sums[at];
        value = value > 32767.0f ? 32767.0f : value;
        value = value < -32768.0f ? -32768.0f : value;
        out[at] = (int16_t)(int32_t)((value + 12582912.0f) - 12582912.0f);
    }
}

/* Convert up to PIECE samples, or as many zeros if `pcm` is NULL. Returns how many output samples were written, of
 * which there may be `room` at most. */
static Py_ssize_t convert(Resampler *self, const char *pcm, Py_ssize_t count, int16_t *out, Py_ssize_t room)
{
    const Py_ssize_t taps = self->taps, up = self->up, kept = taps - 1;
    int16_t whole[TAPS_MAX + PIECE];
    float samples[TAPS_MAX + PIECE];
    memcpy(whole, self->history, kept * sizeof *whole);
    if (pcm != NULL)
        memcpy(whole + kept, pcm, count * sizeof *whole);
    else
        memset(whole + kept, 0, count * sizeof *whole);
    for (Py_ssize_t at = 0; at < kept + count; at++)
        samples[at] = whole[at];
    memcpy(self->history, whole + count, kept * sizeof *whole);

    Place place = {(self->due + up - 1) / up, 0};
    place.phase = place.end * up - self->due;
    Py_ssize_t written = 0;
    while (place.end <= count) {
        float sums[BLOCK];
        Py_ssize_t made = sum_up(self, samples + kept, count, &place, sums);
        Py_ssize_t skip = made < self->skip ? made : self->skip, taken = made - skip;
        if (taken > room - written)
            taken = room - written;
        round_to(out + written, sums + skip, taken);
        self->skip -= skip;
        self->skipped += skip;
        written += taken;
    }
    self->due = (place.end - count) * up - place.phase;
    return written;
}

static PyObject *resampler_feed(Resampler *self, PyObject *pcm)
{
    Py_buffer view;
    if (PyObject_GetBuffer(pcm, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *result = NULL;
    Py_ssize_t left = view.len / 2, complete = 0;
    if (view.len % 2)
        PyErr_SetString(PyExc_ValueError, "the audio must have whole samples of 16 bits");
    else if (left > PY_SSIZE_T_MAX / 4 / RATIO_MAX)
        PyErr_NoMemory();
    else {
        if (left * self->up >= self->due)
            complete = (left * self->up - self->due) / self->down + 1;
        Py_ssize_t room = complete > self->skip ? complete - self->skip : 0;
        result = PyBytes_FromStringAndSize(NULL, room * 2);
        if (result != NULL) {
            const char *from = view.buf;
            int16_t *to = (int16_t *)PyBytes_AS_STRING(result);
            while (left > 0) {
                Py_ssize_t count = left < PIECE ? left : PIECE, written = convert(self, from, count, to, room);
                from += count * 2;
                left -= count;
                to += written;
                room -= written;
            }
        }
    }
    PyBuffer_Release(&view);
    return result;
}

static PyObject *resampler_finish(Resampler *self, PyObject *Py_UNUSED(none))
{
    Py_ssize_t room = self->skipped;
    PyObject *result = PyBytes_FromStringAndSize(NULL, room * 2);
    int16_t *to = result == NULL ? NULL : (int16_t *)PyBytes_AS_STRING(result);
    while (to != NULL && room > 0) {
        Py_ssize_t written = convert(self, NULL, PIECE, to, room);
        to += written;
        room -= written;
    }
    return result;
}

static PyMethodDef resampler_methods[] = {
    {"feed", (PyCFunction)resampler_feed, METH_O, "Convert the next samples; returns what is complete now."},
    {"finish", (PyCFunction)resampler_finish, METH_NOARGS, "As many samples as were skipped for the delay."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject resampler_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "turngate.kernel._kernel.Resampler",
    .tp_basicsize = sizeof(Resampler),
    .tp_itemsize = sizeof(int16_t),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Converts mono pcm16 with a filter bank: `down` input samples become `up` output samples.",
    .tp_new = resampler_new,
    .tp_dealloc = (destructor)resampler_dealloc,
    .tp_methods = resampler_methods,
};

/* --- energies */

static int64_t linear_energy(const char *from, Py_ssize_t count)
{
    int64_t sum = 0;
    for (Py_ssize_t at = 0; at < count; at++) {
        int16_t sample;
        memcpy(&sample, from + 2 * at, sizeof sample);
        sum += (int32_t)sample * sample;
    }
    return sum;
}

static int64_t coded_energy(const uint8_t *from, Py_ssize_t count, const int16_t *levels)
{
    int64_t sum = 0;
    for (Py_ssize_t at = 0; at < count; at++)
        sum += (int32_t)levels[from[at]] * levels[from[at]];
    return sum;
}

/* energies(audio, frame, levels): a list of the sums of squares of each whole frame of `frame` samples. */
static PyObject *energies(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t given)
{
    if (given != 3 || !PyBytes_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "energies takes the audio, the samples of a frame, and bytes");
        return NULL;
    }
    Py_ssize_t frame = PyLong_AsSsize_t(args[1]), size = PyBytes_GET_SIZE(args[2]) ? 1 : 2;
    if (frame == -1 && PyErr_Occurred())
        return NULL;
    int16_t levels[256];
    if (frame < 1 || frame > PY_SSIZE_T_MAX / 2 || (size == 1 && PyBytes_GET_SIZE(args[2]) != sizeof levels)) {
        PyErr_SetString(PyExc_ValueError, "a frame has at least one sample, and there are 256 levels or none");
        return NULL;
    }
    if (size == 1)
        memcpy(levels, PyBytes_AS_STRING(args[2]), sizeof levels);
    Py_buffer view;
    if (PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) < 0)
        return NULL;
    Py_ssize_t frames = view.len / (frame * size);
    PyObject *result = PyList_New(frames);
    for (Py_ssize_t at = 0; result != NULL && at < frames; at++) {
        const char *from = (const char *)view.buf + at * frame * size;
        int64_t sum = size == 2 ? linear_energy(from, frame) : coded_energy((const uint8_t *)from, frame, levels);
        PyObject *energy = PyLong_FromLongLong(sum);
        if (energy == NULL)
            Py_CLEAR(result);
        else
            PyList_SET_ITEM(result, at, energy);
    }
    PyBuffer_Release(&view);
    return result;
}

/* --- the audio in an event of the upstream */

/* The end of a string of printable ASCII without escapes that begins at `from`; NULL if it is something else. */
static const uint8_t *string_end(const uint8_t *from, const uint8_t *end)
{
    while (from < end && *from >= 0x20 && *from < 0x7F && *from != '"' && *from != '\\')
        from++;
    return from < end && *from == '"' ? from : NULL;
}

/* The end of a whole number, true, false or null that begins at `from`; NULL if it is something else. */
static const uint8_t *word_end(const uint8_t *from, const uint8_t *end)
{
    static const char *words[] = {"true", "false", "null"};
    for (int word = 0; word < 3; word++) {
        Py_ssize_t length = (Py_ssize_t)strlen(words[word]);
        if (end - from >= length && memcmp(from, words[word], length) == 0)
            return from + length;
    }
    const uint8_t *digits = from;
    while (from < end && *from >= '0' && *from <= '9' && from - digits < 18)
        from++;
    return from == digits || (*digits == '0' && from - digits > 1) ? NULL : from;
}

static const char BEGINNING[] = "{\"type\":\"response.output_audio.delta\"";
static const char *FIELDS[] = {"response_id", "item_id", "delta"};

/* scan_delta(frame): (response_id, item_id, delta), the last as bytes, or None for what is not a piece of audio as
 * OpenAI writes it. Whether the delta is base64 is left to who decodes it. */
static PyObject *scan_delta(PyObject *Py_UNUSED(module), PyObject *frame)
{
    if (!PyBytes_Check(frame))
        Py_RETURN_NONE;
    const uint8_t *at = (const uint8_t *)PyBytes_AS_STRING(frame), *end = at + PyBytes_GET_SIZE(frame);
    const uint8_t *text[3] = {NULL}, *stop[3] = {NULL};
    if (end - at < (Py_ssize_t)sizeof BEGINNING || memcmp(at, BEGINNING, sizeof BEGINNING - 1))
        Py_RETURN_NONE;
    at += sizeof BEGINNING - 1;
    while (end - at > 3 && at[0] == ',' && at[1] == '"') {
        const uint8_t *name = at + 2, *name_end = string_end(name, end);
        if (name_end == NULL || end - name_end < 3 || name_end[1] != ':')
            Py_RETURN_NONE;
        int field = 0;
        while (field < 3 && ((size_t)(name_end - name) != strlen(FIELDS[field]) ||
                             memcmp(name, FIELDS[field], name_end - name)))
            field++;
        const uint8_t *value = name_end + 2, *value_end;
        if (*value != '"') {
            value_end = word_end(value, end);
            if (field < 3 || value_end == NULL)
                Py_RETURN_NONE;
            at = value_end;
            continue;
        }
        value++;
        value_end = field == 2 ? memchr(value, '"', end - value) : string_end(value, end);
        /* Of a field that is there twice, the last would count, and the other must be JSON, too. */
        if (value_end == NULL || (field < 3 && text[field] != NULL))
            Py_RETURN_NONE;
        if (field < 3) {
            text[field] = value;
            stop[field] = value_end;
        }
        at = value_end + 1;
    }
    if (end - at != 1 || *at != '}' || text[0] == NULL || text[1] == NULL || text[2] == NULL)
        Py_RETURN_NONE;
    return Py_BuildValue("(s#s#y#)", text[0], stop[0] - text[0], text[1], stop[1] - text[1], text[2], stop[2] - text[2]);
}

static PyMethodDef functions[] = {
    {"energies", (PyCFunction)(void (*)(void))energies, METH_FASTCALL, "The sums of squares of the whole frames."},
    {"scan_delta", scan_delta, METH_O, "The ids and the delta of an event that has audio."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "turngate.kernel._kernel", "What costs most per audio frame.", -1, functions,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    if (PyType_Ready(&resampler_type) < 0)
        return NULL;
    PyObject *made = PyModule_Create(&module);
    if (made != NULL && PyModule_AddObjectRef(made, "Resampler", (PyObject *)&resampler_type) < 0)
        Py_CLEAR(made);
    return made;
}
