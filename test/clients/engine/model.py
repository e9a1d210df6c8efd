"""Writes a tiny model for llama.cpp: random weights over a few words, the same each time."""
import sys
import gguf
import numpy as np

WORDS = "the water gate mill river stone wheel is was runs turns slow cold deep and then over under by a of in to it we they see hear".split()
PIECES = ["\u2581" + w for w in WORDS] + list("abcdefghijklmnopqrstuvwxyz.,:\u2581")
BYTES = 256
SIZE, LAYERS, HEADS, INNER, CONTEXT = 32, 2, 2, 64, 2048


def write(path):
    random = np.random.default_rng(7)
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("tiny")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(SIZE)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(INNER)
    w.add_head_count(HEADS)
    w.add_head_count_kv(HEADS)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(SIZE // HEADS)
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(BYTES)] + PIECES
    kind = gguf.TokenType
    kinds = [kind.UNKNOWN, kind.CONTROL, kind.CONTROL] + [kind.BYTE] * BYTES + [kind.NORMAL] * len(PIECES)
    w.add_vocab_size(len(tokens))
    w.add_tokenizer_model("llama")
    w.add_token_list([t.encode() for t in tokens])
    w.add_token_scores([-float(i) for i in range(len(tokens))])
    w.add_token_types([int(k) for k in kinds])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_unk_token_id(0)
    w.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:")

    def add(name, *shape):
        w.add_tensor(name, (random.standard_normal(shape) * 0.3).astype(np.float32))

    add("token_embd.weight", len(tokens), SIZE)
    # Nothing but words is ever said: what stands before them, bytes and ends among it, gets no weight.
    head = (random.standard_normal((len(tokens), SIZE)) * 3).astype(np.float32)
    head[:len(tokens) - len(PIECES)] = 0
    w.add_tensor("output.weight", head)
    w.add_tensor("output_norm.weight", np.ones(SIZE, np.float32))
    for i in range(LAYERS):
        block = f"blk.{i}."
        for name in ("attn_norm", "ffn_norm"):
            w.add_tensor(f"{block}{name}.weight", np.ones(SIZE, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"{block}{name}.weight", SIZE, SIZE)
        add(block + "ffn_gate.weight", INNER, SIZE)
        add(block + "ffn_up.weight", INNER, SIZE)
        add(block + "ffn_down.weight", SIZE, INNER)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


write(sys.argv[1])
