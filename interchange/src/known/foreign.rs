//! Networks of the field that do not run here, by tensors that only they have.

use crate::tensors::Tensors;

/// Names, and tensors that are all in an architecture's files. Where one's are among another's, the other comes first.
const FOREIGN: &[(&str, &[&str])] = &[
    (
        "HAT",
        &["layers.0.residual_group.overlap_attn.relative_position_bias_table"],
    ),
    ("DRCT", &["layers.0.swin1.attn.relative_position_bias_table"]),
    ("ATD", &["layers.0.residual_group.layers.0.attn_atd.scale"]),
    (
        "RGT",
        &[
            "layers.0.blocks.0.gamma",
            "layers.0.blocks.0.attn.attns.0.rpe_biases",
        ],
    ),
    (
        "SRFormer",
        &["layers.0.residual_group.blocks.0.attn.aligned_relative_position_index"],
    ),
    ("Swin2SR", &["layers.0.residual_group.blocks.0.attn.logit_scale"]),
    (
        "OmniSR",
        &["residual_layer.0.residual_layer.0.layer.0.fn.0.weight"],
    ),
    (
        "GRL",
        &["layers.0.blocks.0.attn.window_attn.attn_transform.logit_scale"],
    ),
    ("CRAFT", &["layers.0.residual_group.hf_blocks.0.attn.temperature"]),
    (
        "DCTLSA",
        &["fea_conv.weight", "LR_conv.weight", "upsampler.0.weight"],
    ),
    ("FDAT", &["groups.0.blocks.0.attn.bias"]),
    ("SCUNet", &["m_head.0.weight", "m_tail.0.weight"]),
    ("FBCNN", &["qf_pred.0.res.0.weight"]),
    ("DRUNet", &["m_head.weight", "m_body.0.res.0.weight"]),
    (
        "Uformer",
        &["input_proj.proj.0.weight", "output_proj.proj.0.weight"],
    ),
    ("NAFNet", &["intro.weight", "middle_blks.0.sca.1.weight"]),
    ("KBNet", &["intro.weight", "middle_blks.0.w"]),
    (
        "Restormer",
        &["patch_embed.proj.weight", "encoder_level1.0.attn.temperature"],
    ),
    ("MoSR", &["gblocks.0.weight", "gblocks.1.fc1.weight"]),
    ("MoESR", &["in_to_dim.weight", "blocks.0.blocks.0.gamma"]),
    ("SAFMN", &["to_feat.weight", "feats.0.safm.aggr.weight"]),
    ("SeemoRe", &["conv_1.weight", "body.0.local_block.norm_1.weight"]),
    ("RCAN", &["body.0.body.0.body.0.weight"]),
    ("EDSR", &["head.0.weight", "body.0.body.0.weight"]),
    ("GFPGAN", &["stylegan_decoder.style_mlp.1.weight"]),
    ("CodeFormer or RestoreFormer", &["quantize.embedding.weight"]),
    (
        "Real-CUGAN",
        &["unet1.conv1.conv.0.weight", "unet2.conv1.conv.0.weight"],
    ),
    ("SwiftSRGAN", &["initial.cnn.depthwise.weight"]),
    ("AuraSR", &["mid_attn.layers.0.0.to_out.weight"]),
    ("DITN", &["UFONE.0.ITLs.0.attn.temperature"]),
    (
        "IPT",
        &[
            "sub_mean.weight",
            "body.encoder.layers.0.self_attn.in_proj_weight",
        ],
    ),
    ("LaMa", &["model.1.bn_l.running_mean"]),
    ("sparse PLKSR", &["feats.1.lk.convs.0.weight"]),
    ("rectangular PLKSR", &["feats.1.lk.mn_conv.weight"]),
    ("SRResNet", &["conv_first.weight", "body.0.conv1.weight"]),
];

/// The first whose tensors are all there.
pub(super) fn name(tensors: &Tensors<'_>) -> Option<&'static str> {
    let fits = |(_, marks): &&(&str, &[&str])| marks.iter().all(|mark| tensors.has(mark));
    FOREIGN.iter().find(fits).map(|(name, _)| *name)
}
