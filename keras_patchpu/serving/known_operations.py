"""Which operations of TensorFlow the graph of an exported model may have."""

import pathlib

from tensorflow.core.protobuf import saved_model_pb2

from keras_patchpu.data.bounded_read import read_at_most

# Those of this package have 3 MB; weights are in other files.
_MOST_BYTES = 2**28

# Arithmetic on tensors, and which of it is done. What `export` writes of the models of this package
# has about half of these; the others are for models of one's own, of the usual layers.
_ARITHMETIC = """
    Abs Add AddN AddV2 All Any ArgMax ArgMin Asin Atan Atan2 AvgPool AvgPool3D BatchMatMul
    BatchMatMulV2 BatchToSpaceND BiasAdd BroadcastArgs BroadcastTo Case Cast Ceil ClipByValue
    ConcatV2 Const Conv2D Conv2DBackpropInput Conv3D Cos Cosh CropAndResize Cumprod Cumsum
    DepthToSpace DepthwiseConv2dNative DivNoNan Einsum Elu Equal Erf Erfc Exp ExpandDims Expm1
    ExtractImagePatches Fill Floor FloorDiv FloorMod FusedBatchNormV3 GatherNd GatherV2 Greater
    GreaterEqual Identity IdentityN If InvertPermutation IsFinite IsInf IsNan LRN LeakyRelu Less
    LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul MatrixBandPart
    MatrixDiagPartV3 MatrixDiagV3 Max MaxPool MaxPool3D MaxPoolV2 Maximum Mean Min Minimum MirrorPad
    Mul Neg NoOp NotEqual OneHot OnesLike Pack Pad PadV2 PartitionedCall Placeholder Pow Prod Range
    Rank RealDiv Reciprocal Relu Relu6 Reshape ResizeArea ResizeBicubic ResizeBilinear
    ResizeNearestNeighbor ReverseV2 Rint Round Rsqrt ScaleAndTranslate ScatterNd Select SelectV2
    Selu Shape ShapeN Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToBatchND
    SpaceToDepth Split SplitV Sqrt Square SquaredDifference Squeeze StatefulPartitionedCall
    StatelessCase StatelessIf StatelessWhile StopGradient StridedSlice Sub Sum Tan Tanh
    TensorListConcatV2 TensorListFromTensor TensorListGather TensorListGetItem TensorListLength
    TensorListPopBack TensorListPushBack TensorListReserve TensorListSetItem TensorListStack
    TensorScatterUpdate Tile TopKV2 Transpose Unpack Where While Xdivy Xlogy ZerosLike
"""
# From the bytes of pictures to tensors; see `decode_pictures` for the datasets.
_DECODING = """
    ConcatenateDataset DatasetToSingleElement DecodeImage DecodeRaw ExtractJpegShape
    IgnoreErrorsDataset MapDataset StaticRegexFullMatch StringJoin StringLength Substr TakeDataset
    TensorDataset
"""
_WEIGHTS = """
    AssignVariableOp DisableCopyOnRead ReadVariableOp VarHandleOp VarIsInitializedOp
"""
KNOWN = frozenset(f"{_ARITHMETIC} {_DECODING} {_WEIGHTS}".split())
# They write and read the files that they are told. TensorFlow puts them into functions of their own
# for who saves the model anew; to load it and to ask it takes none of them.
SAVING = frozenset("MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename".split())


def check_operations(version: pathlib.Path) -> None:
    """Checks that the graph of a SavedModel does nothing but compute.

    TensorFlow's operations can read, write and delete any file, call Python, and reach the network;
    few are marked as such, so that those are listed which are known to be harmless. A harmless
    graph still takes what time and memory it likes.

    Args:
        version: the directory of the SavedModel.

    Raises:
        ValueError: it has another operation, or is not of TensorFlow 2; says which, in one line.
        OSError: it cannot be read, or is larger than 256 MB.
        google.protobuf.message.DecodeError: it is damaged.
    """
    # TensorFlow reads this file, too, whatever others are there.
    content = read_at_most(version / "saved_model.pb", _MOST_BYTES)
    graphs = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    # Any other is of TensorFlow 1, and loaded in another way.
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise ValueError("not written by TensorFlow 2")
    # Python does not run the main graph, which may call what saves.
    _check(graphs[0].graph_def.node, KNOWN)
    saving, others = [], [graphs[0].object_graph_def.SerializeToString()]
    for function in graphs[0].graph_def.library.function:
        if any(node.op in SAVING for node in function.node_def):
            _check(function.node_def, KNOWN | SAVING)
            saving.append(function.signature.name)
        else:
            _check(function.node_def, KNOWN)
            others.append(function.SerializeToString())
    for name in saving:
        # Whatever calls it has its name in it, and a function may be called like an operation.
        if name in KNOWN or any(name.encode() in other for other in others):
            raise ValueError("its answers call a function that writes or reads files")


def _check(nodes, allowed):
    for node in nodes:
        if node.op not in allowed:
            raise ValueError(f"it has the operation {node.op}, which no exported model has")
