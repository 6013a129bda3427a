"""Every classification network of keras.applications, as data; `zoo.pretrained` builds them.

Parameters and multiply-adds are exact at the published size of the images and 1,000 classes.
"""

from typing import NamedTuple


class Backbone(NamedTuple):
    """keras.applications.`function`, whose module is `family`; `alpha` multiplies MobileNet's numbers of filters."""

    family: str
    function: str
    size: int
    parameters: int
    multiply_adds: int
    alpha: float = 1.0

    @property
    def input_shape(self):
        return (self.size, self.size, 3)

    @property
    def counts(self):
        return self.parameters, self.multiply_adds


BACKBONES = {
    "mobilenet_025": Backbone("mobilenet", "MobileNet", 224, 475_544, 41_030_272, 0.25),
    "mobilenet_050": Backbone("mobilenet", "MobileNet", 224, 1_342_536, 149_497_088, 0.5),
    "mobilenet_075": Backbone("mobilenet", "MobileNet", 224, 2_601_976, 325_400_448, 0.75),
    "mobilenet": Backbone("mobilenet", "MobileNet", 224, 4_253_864, 568_740_352),
    "mobilenet_v2_035": Backbone("mobilenet_v2", "MobileNetV2", 224, 1_691_208, 59_285_808, 0.35),
    "mobilenet_v2_050": Backbone("mobilenet_v2", "MobileNetV2", 224, 1_987_224, 97_131_840, 0.5),
    "mobilenet_v2_075": Backbone("mobilenet_v2", "MobileNetV2", 224, 2_663_064, 209_069_792, 0.75),
    "mobilenet_v2": Backbone("mobilenet_v2", "MobileNetV2", 224, 3_538_984, 300_774_272),
    "mobilenet_v2_130": Backbone("mobilenet_v2", "MobileNetV2", 224, 5_431_048, 509_374_560, 1.3),
    "mobilenet_v2_140": Backbone("mobilenet_v2", "MobileNetV2", 224, 6_156_712, 582_195_824, 1.4),
    "mobilenet_v3_small": Backbone("mobilenet_v3", "MobileNetV3Small", 224, 2_554_968, 56_510_400),
    "mobilenet_v3_large": Backbone("mobilenet_v3", "MobileNetV3Large", 224, 5_507_432, 216_589_760),
    "efficientnet_b0": Backbone("efficientnet", "EfficientNetB0", 224, 5_330_571, 385_814_752),
    "efficientnet_b1": Backbone("efficientnet", "EfficientNetB1", 240, 7_856_239, 686_802_832),
    "efficientnet_b2": Backbone("efficientnet", "EfficientNetB2", 260, 9_177_569, 993_561_872),
    "efficientnet_b3": Backbone("efficientnet", "EfficientNetB3", 300, 12_320_535, 1_827_141_392),
    "efficientnet_b4": Backbone("efficientnet", "EfficientNetB4", 380, 19_466_823, 4_393_771_024),
    "efficientnet_b5": Backbone("efficientnet", "EfficientNetB5", 456, 30_562_527, 10_266_384_752),
    "efficientnet_b6": Backbone("efficientnet", "EfficientNetB6", 528, 43_265_143, 19_067_593_536),
    "efficientnet_b7": Backbone("efficientnet", "EfficientNetB7", 600, 66_658_687, 37_745_884_192),
    "efficientnet_v2_b0": Backbone("efficientnet_v2", "EfficientNetV2B0", 224, 7_200_312, 718_086_176),
    "efficientnet_v2_b1": Backbone("efficientnet_v2", "EfficientNetV2B1", 240, 8_212_124, 1_196_819_360),
    "efficientnet_v2_b2": Backbone("efficientnet_v2", "EfficientNetV2B2", 260, 10_178_374, 1_697_542_832),
    "efficientnet_v2_b3": Backbone("efficientnet_v2", "EfficientNetV2B3", 300, 14_467_622, 3_011_458_816),
    "efficientnet_v2_s": Backbone("efficientnet_v2", "EfficientNetV2S", 384, 21_612_360, 8_365_617_152),
    "efficientnet_v2_m": Backbone("efficientnet_v2", "EfficientNetV2M", 480, 54_431_388, 24_582_460_384),
    "efficientnet_v2_l": Backbone("efficientnet_v2", "EfficientNetV2L", 480, 119_027_848, 56_079_699_008),
    "convnext_tiny": Backbone("convnext", "ConvNeXtTiny", 224, 28_589_128, 4_455_531_264),
    "convnext_small": Backbone("convnext", "ConvNeXtSmall", 224, 50_223_688, 8_683_712_256),
    "convnext_base": Backbone("convnext", "ConvNeXtBase", 224, 88_591_464, 15_354_729_472),
    "convnext_large": Backbone("convnext", "ConvNeXtLarge", 224, 197_767_336, 34_361_433_600),
    "convnext_xlarge": Backbone("convnext", "ConvNeXtXLarge", 224, 350_196_968, 60_921_030_656),
    "densenet121": Backbone("densenet", "DenseNet121", 224, 8_062_504, 2_834_161_664),
    "densenet169": Backbone("densenet", "DenseNet169", 224, 14_307_880, 3_359_843_328),
    "densenet201": Backbone("densenet", "DenseNet201", 224, 20_242_984, 4_291_365_888),
    "inception_v3": Backbone("inception_v3", "InceptionV3", 299, 23_851_784, 5_713_216_096),
    "inception_resnet_v2": Backbone("inception_resnet_v2", "InceptionResNetV2", 299, 55_873_736, 13_155_794_016),
    "nasnet_mobile": Backbone("nasnet", "NASNetMobile", 224, 5_326_716, 563_638_816),
    "nasnet_large": Backbone("nasnet", "NASNetLarge", 331, 88_949_818, 23_783_414_658),
    "resnet50": Backbone("resnet", "ResNet50", 224, 25_636_712, 3_857_973_248),
    "resnet101": Backbone("resnet", "ResNet101", 224, 44_707_176, 7_570_194_432),
    "resnet152": Backbone("resnet", "ResNet152", 224, 60_419_944, 11_282_415_616),
    "resnet50_v2": Backbone("resnet_v2", "ResNet50V2", 224, 25_613_800, 3_482_255_360),
    "resnet101_v2": Backbone("resnet_v2", "ResNet101V2", 224, 44_675_560, 7_194_476_544),
    "resnet152_v2": Backbone("resnet_v2", "ResNet152V2", 224, 60_380_648, 10_906_697_728),
    "vgg16": Backbone("vgg16", "VGG16", 224, 138_357_544, 15_470_264_320),
    "vgg19": Backbone("vgg19", "VGG19", 224, 143_667_240, 19_632_062_464),
    "xception": Backbone("xception", "Xception", 299, 22_910_480, 8_357_403_496),
}

# How each family's preprocess_input scales pixels of 0..255, in the words of keras.applications: "tf" to -1..1, "torch"
# by ImageNet's mean and deviation, "caffe" to BGR less ImageNet's mean, and None where the network does it itself.
PREPROCESSING = {
    "mobilenet": "tf",
    "mobilenet_v2": "tf",
    "mobilenet_v3": None,
    "efficientnet": None,
    "efficientnet_v2": None,
    "convnext": None,
    "densenet": "torch",
    "inception_v3": "tf",
    "inception_resnet_v2": "tf",
    "nasnet": "tf",
    "resnet": "caffe",
    "resnet_v2": "tf",
    "vgg16": "caffe",
    "vgg19": "caffe",
    "xception": "tf",
}

# Layers with weights between the pooled maps and the classifier, which files without a top lack.
HIDDEN_LAYERS = {"vgg16": 2, "vgg19": 2, "mobilenet_v3": 1}
