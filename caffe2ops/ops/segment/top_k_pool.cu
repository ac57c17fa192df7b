// Top-k pooling of a batch: what stands around the selection that lengths_top_k.cu does.
// compiled for: T = uint16, uint32, uint64
//
// Tensors are seen as (outer, length, inner): the axis that is ranked, what is before it and what is behind it. T is the
// unsigned integer as wide as an element: values are moved, never calculated with.

// A thread owns one element of values and indices (outer, k, inner), which it takes from the selection (outer, inner, k).
extern "C" __global__ void pool_gather(const T* x, const int* selected, T* values, int* indices, long long outer,
                                       long long length, long long inner, int k) {
  const long long n = outer * k * inner, stride = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
    const long long o = i / inner / k, q = i / inner % k, f = i % inner;
    const int index = selected[(o * inner + f) * k + q];
    const bool real = index >= 0 && index < length;
    values[i] = real ? x[(o * length + index) * inner + f] : T(0);
    indices[i] = real ? index : -1;
  }
}

// A thread owns one element of indices (outer, k, inner) and fills that place of y (outer, length, inner), zero before:
// with the element of source at the same place of y (dense), else with the one at the same place of indices.
extern "C" __global__ void pool_scatter(const int* indices, const T* source, T* y, long long outer, long long length,
                                        long long inner, int k, bool dense, int* bad) {
  const long long n = outer * k * inner, stride = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int index = indices[i];
    if (index == -1) continue;
    const long long to = (i / inner / k * length + index) * inner + i % inner;
    if (index < 0 || index >= length) atomicExch(bad, 1);
    else y[to] = source[dense ? to : i];
  }
}
