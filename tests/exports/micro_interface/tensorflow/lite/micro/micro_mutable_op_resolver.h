#pragma once
#include "tensorflow/lite/kernels/internal/tensor_ctypes.h"
namespace tflite {
struct MicroOpResolver {};
template <unsigned int Count>
struct MicroMutableOpResolver : MicroOpResolver {
  TfLiteStatus AddConv2D();
  TfLiteStatus AddDequantize();
  TfLiteStatus AddFullyConnected();
  TfLiteStatus AddMaxPool2D();
  TfLiteStatus AddQuantize();
  TfLiteStatus AddReshape();
  TfLiteStatus AddSoftmax();
};
}
