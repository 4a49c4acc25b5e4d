"""What PEFT makes of our adapters, and an adapter that PEFT made.

with_peft.py merge FOLDER   reads FOLDER/base.safetensors and FOLDER/adapter_{config.json,model.safetensors}; writes the merged
                       weights to FOLDER/merged.safetensors
with_peft.py make FOLDER    reads FOLDER/base.safetensors; writes a random adapter and the merged weights likewise

Needs peft and torch. The files beside this script are from `make`, with peft 0.21.
"""
import sys
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file


def network(base):
    """Nested modules with the layers that the weights imply."""
    root = torch.nn.Module()
    for name, weight in base.items():
        path, kind = name.rsplit(".", 1)
        if kind != "weight":
            continue
        *parents, leaf = path.split(".")
        at = root
        for part in parents:
            if part not in at._modules:
                at.add_module(part, torch.nn.Module())
            at = at._modules[part]
        out, inputs, *kernel = weight.shape
        at.add_module(leaf, torch.nn.Conv2d(inputs, out, kernel[0], padding=kernel[0] // 2) if kernel else torch.nn.Linear(inputs, out))
    root.load_state_dict(base)
    return root


what, folder = sys.argv[1:]
base = load_file(f"{folder}/base.safetensors")
if what == "merge":
    model = PeftModel.from_pretrained(network(base), folder)
else:
    torch.manual_seed(0)
    config = LoraConfig(r=2, lora_alpha=3, target_modules=["conv1", "film", "time.0"], init_lora_weights=False)
    model = get_peft_model(network(base), config)
    model.save_pretrained(folder)
save_file(model.merge_and_unload().state_dict(), f"{folder}/merged.safetensors")
