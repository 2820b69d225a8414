"""Snippets of the model card for apps that run an ONNX file with ONNX Runtime on a phone."""

from __future__ import annotations

from autonl_core.export.format_spec import Input, Snippet


def onnx_apps(file_name: str, input_name: str, given: Input) -> tuple[Snippet, ...]:
    """For Android and iOS. `input_name`: of the graph; `given`: what it takes."""
    kotlin, swift = _KOTLIN[given], _SWIFT[given]
    return (
        Snippet(
            "kotlin", "Gradle: com.microsoft.onnxruntime:onnxruntime-android", _filled(kotlin, file_name, input_name)
        ),
        Snippet("swift", "CocoaPods: onnxruntime-objc", _filled(swift, file_name, input_name)),
    )


def _filled(template: str, file_name: str, input_name: str) -> str:
    return template.replace("FILE", file_name).replace("INPUT", input_name)


_KOTLIN: dict[Input, str] = {
    "pixels": """\
val environment = OrtEnvironment.getEnvironment()  // ai.onnxruntime
val session = environment.createSession(pathOf("FILE"))
val shape = longArrayOf(1, R, R, 3)
val input = OnnxTensor.createTensor(environment, pixels, shape, OnnxJavaType.UINT8)  // direct ByteBuffer, RGB
val logits = (session.run(mapOf("INPUT" to input))[0].value as Array<FloatArray>)[0]""",
    "normalised": """\
val environment = OrtEnvironment.getEnvironment()  // ai.onnxruntime
val session = environment.createSession(pathOf("FILE"))
val input = OnnxTensor.createTensor(environment, image, longArrayOf(1, 3, R, R))  // FloatBuffer, channels first
val logits = (session.run(mapOf("INPUT" to input))[0].value as Array<FloatArray>)[0]""",
}
_SWIFT: dict[Input, str] = {
    "pixels": """\
let environment = try ORTEnv(loggingLevel: .warning)
let session = try ORTSession(env: environment, modelPath: path(of: "FILE"), sessionOptions: nil)
let input = try ORTValue(tensorData: pixels, elementType: .uInt8, shape: [1, R, R, 3])  // NSMutableData, RGB
let found = try session.run(withInputs: ["INPUT": input], outputNames: ["logits"], runOptions: nil)
let logits = try found["logits"]!.tensorData()  // float32""",
    "normalised": """\
let environment = try ORTEnv(loggingLevel: .warning)
let session = try ORTSession(env: environment, modelPath: path(of: "FILE"), sessionOptions: nil)
let input = try ORTValue(tensorData: image, elementType: .float, shape: [1, 3, R, R])  // NSMutableData, channels first
let found = try session.run(withInputs: ["INPUT": input], outputNames: ["logits"], runOptions: nil)
let logits = try found["logits"]!.tensorData()  // float32""",
}
