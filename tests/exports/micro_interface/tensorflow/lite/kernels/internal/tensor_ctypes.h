#pragma once
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
struct TfLiteTensor;
namespace tflite {
template <typename T>
T* GetTensorData(TfLiteTensor* tensor);
}
