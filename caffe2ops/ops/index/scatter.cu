// ScatterAssign, ScatterWeightedSum: rows of a matrix changed where they stand, those that repeat in order.
// compiled for: T = float32, float64, uint8, uint16, uint32, uint64; I = int32, int64
//
// order brings equal indices together and keeps their order otherwise. A thread owns one element of a row that is
// changed: the one at the first place of its index; what stands at an index out of range is left out.

__device__ __forceinline__ bool leads(const I* indices, const long long* order, long long k, long long rows, int* bad) {
  const long long row = indices[order[k]];
  if (row < 0 || row >= rows) {
    atomicExch(bad, 1);
    return false;
  }
  return k == 0 || indices[order[k - 1]] != row;
}

// The last of the rows of an index is assigned.
extern "C" __global__ void scatter_assign(T* data, const I* indices, const long long* order, const T* source,
                                          long long count, long long width, long long rows, int* bad) {
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count * width; i += stride) {
    const long long k = i / width, c = i % width;
    if (!leads(indices, order, k, rows, bad)) continue;
    long long last = k;
    while (last + 1 < count && indices[order[last + 1]] == indices[order[k]]) ++last;
    data[(long long)indices[order[k]] * width + c] = source[order[last] * width + c];
  }
}

// Scaled by factor as often as the index stands there.
extern "C" __global__ void scatter_scale(T* data, const I* indices, const long long* order, const T* factor,
                                         long long count, long long width, long long rows, int* bad) {
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count * width; i += stride) {
    const long long k = i / width;
    if (!leads(indices, order, k, rows, bad)) continue;
    T* at = data + (long long)indices[order[k]] * width + i % width;
    for (long long j = k; j < count && indices[order[j]] == indices[order[k]]; ++j) *at *= factor[0];
  }
}

// Weighted rows are added, one after the other.
extern "C" __global__ void scatter_add(T* data, const I* indices, const long long* order, const T* source,
                                       const T* weight, long long count, long long width, long long rows, int* bad) {
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count * width; i += stride) {
    const long long k = i / width, c = i % width;
    if (!leads(indices, order, k, rows, bad)) continue;
    T* at = data + (long long)indices[order[k]] * width + c;
    for (long long j = k; j < count && indices[order[j]] == indices[order[k]]; ++j)
      *at += weight[0] * source[order[j] * width + c];
  }
}
