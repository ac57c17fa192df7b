"""cuemu: CUDA kernels on machines without a GPU.

`build.py` compiles a CUDA C++ source with g++: one fiber per CUDA thread, real barriers, shuffles, votes, atomics,
shared memory and half (`runtime.cpp`, `include/`). `launch.py` calls its kernels on NumPy arrays and checks what CuPy
leaves unchecked. `fakecupy.py` stands in for the module `cupy`, so that the code that launches runs unchanged.
`fixture.py` is how tests get all of it:

    def test_relu(emulated_cuda):          # the fixture; its value is the module that `import cupy` now gives
        x = emulated_cuda.asarray(np.float32([-1, 2]))
        ...                                # anything that imports cupy when it runs

Environment: CUEMU_ORDER (forward, reverse, random: the order in which threads and blocks run), CUEMU_SEED, CUEMU_SAN
(`address,undefined` or `thread`; the matching runtime must be in LD_PRELOAD), CUEMU_CACHE (folder of built kernels),
CUEMU_CXX, CUEMU_OPT. Limits: no CUB, inline PTX, textures, cooperative groups, nor spinning between blocks; math is
glibc's, so transcendental functions compare within tolerances. Cost: about 0.3 s to build a module, then 20 ns a thread
and 40 ns a thread and barrier.
"""
