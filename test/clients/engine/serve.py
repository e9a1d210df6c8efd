"""Starts llama.cpp's server with a model, prints where it listens, and serves until its input ends."""
import sys
import xllamacpp

p = xllamacpp.CommonParams()
p.model.path, p.model_alias = sys.argv[1], {"tiny"}
p.n_ctx, p.n_parallel, p.port, p.n_gpu_layers, p.warmup = 2048, 2, 0, 0, False
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
if sys.argv[2] == "embeddings":
    p.embedding, p.pooling_type = True, xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
sys.stdin.read()
