"""The compared methods, one module each, every one with the same ``build``.

A module is imported only when its method is built, because timm and segmentation_models_pytorch
take seconds to import. Nothing is imported here for that reason.
"""
